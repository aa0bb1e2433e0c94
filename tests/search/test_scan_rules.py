import os
from pathlib import Path

import pytest

from retrieval.search.rules import ScanRules
from retrieval.search.scan import scan_folder
from retrieval.spec.errors import CatalogError, QueryError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for name in (
        "a.jpg",
        "b.png",
        "scans/c.jpg",
        "2019/raw/d.jpg",
        "2019/trip/draft-e.jpg",
        "2019/scans/f.jpg",
        ".hidden/g.jpg",
        ".h.jpg",
        "notes.txt",
        "line\nbreak.png",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name))
    return root


def names(root: Path, below: Path | None = None, **rules: object) -> list[str]:
    found = scan_folder(root, ScanRules(**rules), only=[below] if below else []).files
    return [file.path.relative_to(root).as_posix() for file in found]


VISIBLE = ["a.jpg", "b.png", "line\nbreak.png"]
BELOW = ["2019/raw/d.jpg", "2019/scans/f.jpg", "2019/trip/draft-e.jpg", "scans/c.jpg"]


def test_without_rules_all_visible_photos_are_read_in_order(root: Path) -> None:
    assert names(root) == VISIBLE + BELOW


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ({"exclude": ["*.png"]}, ["a.jpg", *BELOW]),
        ({"exclude": ["/scans"]}, VISIBLE + BELOW[:-1]),
        ({"exclude": ["scans/"]}, [*VISIBLE, BELOW[0], BELOW[2]]),
        ({"exclude": ["2019/**/draft-*", "raw"]}, [*VISIBLE, BELOW[1], BELOW[3]]),
        ({"exclude": ["*.jpg", "!a.jpg"]}, VISIBLE),
        ({"include": ["*.png"]}, ["b.png", "line\nbreak.png"]),
        ({"include": ["2019/"], "exclude": ["raw/"]}, BELOW[1:3]),
        ({"hidden": True, "include": [".*"]}, [".h.jpg", ".hidden/g.jpg"]),
        ({"minimum_bytes": 14}, [*BELOW[:3], "line\nbreak.png"]),
    ],
)
def test_rules_say_what_is_read(root: Path, rules: dict[str, object], left: list[str]) -> None:
    assert sorted(names(root, **rules)) == sorted(left)


def test_a_part_of_a_folder_follows_the_rules_of_the_whole(root: Path) -> None:
    rules = {"exclude": ["/2019/raw", "draft-*"]}
    assert names(root, root / "2019", **rules) == ["2019/scans/f.jpg"]
    assert names(root, root / "2019/raw", **rules) == []
    assert names(root, root / "2019/raw/d.jpg", **rules) == []
    assert names(root, root / "a.jpg", **rules) == ["a.jpg"]
    assert names(root, root / "gone" / "x.jpg", **rules) == []
    assert names(root, root / ".hidden" / "g.jpg", **rules) == []


def test_links_are_followed_when_wanted_and_loops_end(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "o.jpg").write_bytes(b"x")
    (root / "0 first").symlink_to(outside)
    (root / "again").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "2019" / "up").symlink_to("..")
    (outside / "deep" / "back").symlink_to(outside)
    (root / "inner").symlink_to(root / "scans")
    assert names(root) == VISIBLE + BELOW
    followed = names(root, follow_links=True)
    # Read once each, and under its own name where it has one below the folder.
    assert sorted(followed) == sorted([*VISIBLE, *BELOW, "0 first/deep/o.jpg"])


def test_a_link_of_links_that_lead_nowhere_is_named(root: Path) -> None:
    (root / "one.jpg").symlink_to(root / "two.jpg")
    (root / "two.jpg").symlink_to(root / "one.jpg")
    (root / "none.jpg").symlink_to(root / "nowhere")
    scan = scan_folder(root, ScanRules(follow_links=True))
    assert {path.name for path, _ in scan.unreadable} == {"one.jpg", "two.jpg", "none.jpg"}


def test_another_file_system_is_left_out_when_wanted(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = Path.stat

    def elsewhere(path: Path, **options: bool) -> os.stat_result:
        found = stat(path, **options)
        if path.name != "scans":
            return found
        return os.stat_result([*found[:2], found.st_dev + 1, *found[3:]])

    monkeypatch.setattr(Path, "stat", elsewhere)
    assert set(names(root, one_file_system=True)) == {*VISIBLE, BELOW[0], BELOW[2]}


def test_bad_patterns_and_bad_stored_rules_are_refused() -> None:
    for pattern in ("!", "[z-a]"):
        with pytest.raises(QueryError, match="cannot understand"):
            ScanRules(exclude=(pattern,)).check()
    for stored in ('{"unknown": 1}', "no json"):
        with pytest.raises(CatalogError, match="rules of /p cannot be read"):
            ScanRules.from_json(stored, Path("/p"))
    rules = ScanRules(exclude=("*.gif",), hidden=True)
    assert ScanRules.from_json(rules.model_dump_json(exclude_defaults=True), Path("/p")) == rules
