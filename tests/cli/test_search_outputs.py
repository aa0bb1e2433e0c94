import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.colour_bundle import make_colour_bundle
from PIL import ExifTags, Image

from retrieval.cli.app import main
from tests.fakes import COLOURS, save_colour

Run = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, a model and a filled home; not to be changed."""
    folder = tmp_path_factory.mktemp("library")
    photos = folder / "photos"
    for day, colour in enumerate(COLOURS, start=1):
        exif = Image.Exif()
        exif[ExifTags.Base.Make] = "Pear" if colour == "blue" else "Kanone"
        exif[ExifTags.Base.DateTime] = f"2023:05:{day:02} 12:00:00"
        (photos / colour).mkdir(parents=True)
        Image.new("RGB", (24, 24), COLOURS[colour]).save(photos / colour / "a.jpg", exif=exif)
    save_colour(photos / "red" / "almost.png", (250, 5, 5))
    copy = photos / "copies" / "c.jpg"
    copy.parent.mkdir()
    copy.write_bytes((photos / "green" / "a.jpg").read_bytes())
    os.utime(photos / "red" / "almost.png", (946_684_800, 946_684_800))
    bundle = make_colour_bundle(folder / "bundle")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setenv("LEANCLIP_HOME", str(folder / "home"))
        main(["index", str(photos), "--model", str(bundle)])
    return folder


@pytest.fixture
def run(
    library: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Run:
    """Output and notes of a command that must succeed; photos are named from their folder."""
    monkeypatch.setenv("LEANCLIP_HOME", str(library / "home"))
    monkeypatch.chdir(library / "photos")

    def run_command(*words: object) -> tuple[str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, error = capfd.readouterr()
        assert not ended.value.code, error
        return out, error

    return run_command


@pytest.fixture
def refuse(run: Run, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line of a command that must fail."""

    def run_command(*words: object) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, error = capfd.readouterr()
        assert (ended.value.code, out, error.count("\n")) == (1, "", 1), error
        return error

    return run_command


def opened(file: Path) -> str:
    """What the opener, which nobody waits for, was given."""
    while not file.exists():
        time.sleep(0.01)
    text = file.read_text()
    file.unlink()
    return text


def paths(output: str) -> list[str]:
    return [line.split("\t")[1] for line in output.splitlines()]


def test_terms_come_from_the_query_and_from_options(run: Run) -> None:
    in_query = run("search", "white - 0.5:red + blue/a.jpg", "--top", 3)[0]
    options = run("search", "white", "-s", "0.5:red", "-a", "blue/a.jpg", "--top", 3)[0]
    assert in_query == options
    assert paths(run("search", "red + green", "--top", 1)[0]) == ["yellow/a.jpg"]
    assert paths(run("search", "--subtract", "white", "--top", 9)[0])[-1] == "white/a.jpg"


def test_filters_alone_list_by_date(run: Run) -> None:
    out, _ = run("search", "after:2023-05 before:2023-05-05")
    assert [line.split("\t") for line in out.splitlines()] == [
        ["2023-05-04", "yellow/a.jpg"],
        ["2023-05-03", "blue/a.jpg"],
        ["2023-05-02", "green/a.jpg"],
        ["2023-05-02", "copies/c.jpg"],
        ["2023-05-01", "red/a.jpg"],
    ]
    answer = json.loads(run("search", "before:2001", "--json")[0])
    [hit] = answer["results"]
    assert hit["score"] is None
    assert Path(hit["path"]).name == "almost.png"
    assert 946_598_400 <= hit["taken_at"] <= 946_886_400


def test_filters_and_words_together(run: Run) -> None:
    assert paths(run("search", "red in:RED type:png")[0]) == ["red/almost.png"]
    assert paths(run("search", "camera:pear red")[0]) == ["blue/a.jpg"]
    out, error = run("search", "red type:gif")
    assert (out, error) == ("", "leanclip: no photo fulfils the filters of the query\n")
    out, error = run("search", "red after:2024", "blue", "--no-indexing")
    assert (out, error) == ("", "leanclip: no photo fulfils the filters of the query\n")


def test_a_cut_leaves_out_what_fits_badly(run: Run) -> None:
    assert len(run("search", "red", "--cut", 0)[0].splitlines()) < 7
    assert paths(run("search", "red", "--cut", 0.95)[0]) == ["red/a.jpg", "red/almost.png"]
    assert paths(run("search", "red", "--cut", 1)[0]) == ["red/a.jpg"]


def test_similar_leaves_out_the_photo_and_its_copies(run: Run, tmp_path: Path) -> None:
    assert paths(run("similar", "red/a.jpg", "--top", 1)[0]) == ["red/almost.png"]
    assert "copies/c.jpg" not in paths(run("similar", "green/a.jpg")[0])
    outside = tmp_path / "moved.jpg"
    outside.write_bytes(Path("green/a.jpg").read_bytes())
    found = paths(run("similar", outside)[0])
    assert len(found) == 5
    assert not {"green/a.jpg", "copies/c.jpg"} & set(found)


def test_duplicates_keep_exact_and_near_apart(run: Run, tmp_path: Path) -> None:
    out, _ = run("duplicates", "--sheet", tmp_path / "twice.html")
    lines = [line.split("\t") for line in out.splitlines()]
    assert [(kind, number) for kind, number, *_ in lines] == [("exact", "1")] * 2 + [
        ("near", "1")
    ] * 2
    assert {path for *_, path in lines[:2]} == {"green/a.jpg", "copies/c.jpg"}
    assert {path for *_, path in lines[2:]} == {"red/a.jpg", "red/almost.png"}
    page = (tmp_path / "twice.html").read_text()
    assert "The same file (1)" in page and "Nearly the same (1)" in page
    answer = json.loads(run("duplicates", "--json", "--threshold", 1)[0])
    assert [len(group) for group in answer["exact"]] == [2]
    assert answer["near"] == []
    assert run("duplicates", "blue", "--no-indexing")[0] == ""


def test_describe_ranks_labels(run: Run, tmp_path: Path) -> None:
    out, _ = run("describe", "red/a.jpg", "blue/a.jpg", "-l", "red", "-l", "blue", "--top", 1)
    lines = out.splitlines()
    assert (lines[0], lines[2]) == ("red/a.jpg", "blue/a.jpg")
    assert lines[1].endswith("  red") and lines[3].endswith("  blue")
    labels = tmp_path / "labels.txt"
    labels.write_text("# colours\nwhite\n\ngreen\nwhite\n")
    answer = json.loads(run("describe", "green/a.jpg", "--labels", labels, "--json")[0])
    [one] = answer["results"]
    assert [ranked["label"] for ranked in one["labels"]] == ["green", "white"]
    assert len(run("describe", "green/a.jpg", "--top", 400)[0].splitlines()) > 300


def test_print0_is_paths_and_nothing_else(run: Run) -> None:
    out, _ = run("search", "green", "--top", 2, "--print0")
    assert out.endswith("\0")
    assert {Path(path).name for path in out[:-1].split("\0")} == {"a.jpg", "c.jpg"}


def test_photos_are_copied_and_linked(run: Run, tmp_path: Path) -> None:
    _, error = run("search", "green", "--top", 2, "--copy-to", tmp_path / "copies")
    assert "2 photos copied to" in error
    assert sorted(p.name for p in (tmp_path / "copies").iterdir()) == ["a.jpg", "c.jpg"]
    _, error = run("search", "green", "--top", 2, "--copy-to", tmp_path / "copies")
    assert "0 photos copied" in error and "2 were there already" in error
    run("similar", "red/a.jpg", "--top", 1, "--link-to", tmp_path / "links")
    assert (tmp_path / "links" / "almost.png").resolve() == Path("red/almost.png").resolve()


def test_the_sheet_is_opened(
    run: Run, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opener = tmp_path / "xdg-open"
    opener.write_text(
        f'#!/bin/sh\nprintf %s "$1" > "{tmp_path}/new"; mv "{tmp_path}/new" "{tmp_path}/opened"\n'
    )
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sys, "platform", "linux")
    run("search", "green", "--open")
    assert opened(tmp_path / "opened") == str(library / "home" / "found.html")
    assert "<h2>green</h2>" in (library / "home" / "found.html").read_text()
    run("search", "green", "--open", "--sheet", tmp_path / "mine.png")
    assert opened(tmp_path / "opened") == str(tmp_path / "mine.png")


def test_what_excludes_each_other_is_refused(refuse: Callable[..., str], tmp_path: Path) -> None:
    assert "choose one" in refuse("search", "red", "--json", "--print0")
    assert "choose one" in refuse("similar", "x", "--copy-to", "a", "--link-to", "b")
    assert "choose one" in refuse("describe", "x.jpg", "-l", "a", "--labels", "b")
    assert "fetches nothing" in refuse("search", "https://example.com/cat.jpg")
    assert "write red + blue" in refuse("search", "red +", "--sheet", tmp_path / "none.html")
    assert "no such photo" in refuse("similar", "gone.jpg")
    assert "cannot be read" in refuse("describe", "gone.jpg")
    assert "hold {} once" in refuse("describe", "red/a.jpg", "--template", "a photo")
    (tmp_path / "empty.txt").write_text("# none\n")
    assert "no labels" in refuse("describe", "red/a.jpg", "--labels", tmp_path / "empty.txt")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    assert "UTF-8" in refuse("describe", "red/a.jpg", "--labels", tmp_path / "bytes.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bytes.txt", "empty.txt"]


@pytest.mark.parametrize(
    ("way", "mark"),
    [("kitty", "\x1b_G"), ("iterm", "\x1b]1337;File="), ("sixel", "\x1bPq"), ("blocks", "\u2580")],
)
def test_pictures_in_the_terminal(run: Run, way: str, mark: str) -> None:
    out, _ = run("search", "red", "--top", 2, "--thumbnails", way)
    assert out.count(mark) >= 2
    assert "red/a.jpg" in out and "red/almost.png" in out


def test_a_pipe_gets_no_pictures_unless_asked(run: Run) -> None:
    assert run("search", "red", "--thumbnails", "auto") == run("search", "red")


def test_a_terminal_gets_the_pictures_it_can_show(library: Path, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty", reason="Windows has no pseudo terminals")
    ours, theirs = pty.openpty()
    multiplexers = {"TMUX", "NO_COLOR"}
    environment = {key: value for key, value in os.environ.items() if key not in multiplexers}
    environment |= {"LEANCLIP_HOME": str(library / "home"), "TERM": "xterm-kitty"}
    words = [sys.executable, "-m", "retrieval.cli", "search", "red", "--thumbnails", "auto"]
    process = subprocess.Popen(words, stdout=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while some := os.read(ours, 65536):
            shown += some
    except OSError:
        pass  # Linux says so when the other end is closed.
    assert process.wait(60) == 0
    assert shown.count(b"\x1b_Ga=T") == 7


def test_help_teaches_the_language(run: Run) -> None:
    text = run("search", "--help")[0]
    for part in ("after:", "before:", "in:", "type:", "camera:", "near:", "--add", "--subtract"):
        assert part in text
    for command in ("similar", "duplicates", "describe"):
        assert f"  leanclip {command} " in run(command, "--help")[0]
