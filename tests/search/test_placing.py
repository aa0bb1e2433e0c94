import os
from pathlib import Path

import pytest

from retrieval.search.placing import Placed, copy_photos, link_photos


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Three photos, two of them of one name."""
    found = []
    for number, name in enumerate(("a/beach.jpg", "b/beach.jpg", "b/\udcff.png")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes([number]) * 100)
        os.utime(path, (1_600_000_000, 1_600_000_000))
        found.append(path)
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_copies_keep_names_and_times_and_number_what_clashes(
    photos: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "found"
    placed = copy_photos(photos, folder)
    assert contents(folder) == {
        "beach.jpg": b"\0" * 100,
        "beach (2).jpg": b"\1" * 100,
        "\udcff.png": b"\2" * 100,
    }
    assert placed.new == [folder / name for name in ("beach.jpg", "beach (2).jpg", "\udcff.png")]
    assert (folder / "beach (2).jpg").stat().st_mtime == 1_600_000_000


def test_what_is_there_is_never_overwritten(photos: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "found"
    folder.mkdir()
    (folder / "beach.jpg").write_text("mine")
    (folder / "beach (2).jpg").mkdir()
    copy_photos(photos, folder)
    assert (folder / "beach.jpg").read_text() == "mine"
    assert (folder / "beach (3).jpg").read_bytes() == b"\0" * 100
    assert (folder / "beach (4).jpg").read_bytes() == b"\1" * 100


@pytest.mark.parametrize("place", [copy_photos, link_photos])
def test_the_same_again_changes_nothing(place, photos: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "found"
    first = place(photos, folder)
    assert place(photos, folder) == Placed(new=[], already_there=first.new)
    assert len(list(folder.iterdir())) == 3


def test_two_photos_of_one_content_are_both_copied(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jpg").write_bytes(b"same")
    found = [tmp_path / name / "x.jpg" for name in ("a", "b")]
    assert len(copy_photos(found, tmp_path / "found").new) == 2


def test_links_point_at_the_photos(photos: list[Path], tmp_path: Path) -> None:
    placed = link_photos(photos, tmp_path / "found")
    assert [path.readlink() for path in placed.new] == photos


@pytest.mark.parametrize("exists", [True, False])
def test_one_that_cannot_be_copied_leaves_nothing(
    photos: list[Path], tmp_path: Path, exists: bool
) -> None:
    folder = tmp_path / "new" / "found"
    if exists:
        folder.mkdir(parents=True)
        (folder / "mine.txt").write_text("mine")
    photos[1].unlink()
    with pytest.raises(FileNotFoundError):
        copy_photos(photos, folder)
    if exists:
        assert contents(folder) == {"mine.txt": b"mine"}
    else:
        assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("place", [copy_photos, link_photos])
def test_a_failure_half_way_takes_back_what_was_placed(
    place, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "replace" if place is copy_photos else "symlink_to"
    really = getattr(Path, name)
    calls = []

    def full(self: Path, target: Path) -> None:
        calls.append(self)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        really(self, target)

    monkeypatch.setattr(Path, name, full)
    with pytest.raises(OSError, match="No space"):
        place(photos, tmp_path / "found")
    assert not (tmp_path / "found").exists()


def test_a_file_in_place_of_the_folder(photos: list[Path]) -> None:
    with pytest.raises(FileExistsError):
        copy_photos(photos, photos[0])
    assert photos[0].read_bytes() == b"\0" * 100
