"""Videos on the command line: printed with their time, counted, shown by the moment found."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.colour_bundle import make_colour_bundle

from retrieval.cli.app import main
from tests.fakes import COLOURS, save_colour

pytest.importorskip("av")

from tests.fixtures.videos import plain, write_video

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEANCLIP_HOME", str(tmp_path / "home"))
    (tmp_path / "photos").mkdir()
    scenes = [plain(COLOURS[colour]) for colour in ("red", "green", "blue")]
    write_video(tmp_path / "photos" / "film.mp4", scenes, seconds=31)
    save_colour(tmp_path / "photos" / "a.png", "yellow")
    bundle = make_colour_bundle(tmp_path / "bundle")

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main([*arguments])
        printed = capsys.readouterr()
        assert ended.value.code in (0, None), printed.err
        return printed.out

    run("index", "photos", "--model", str(bundle))
    return run


def test_a_video_is_printed_with_its_time(run: Run) -> None:
    first, _ = run("search", "blue").splitlines()
    score, path, moment = first.split("\t")
    assert (float(score) > 0.9, path, moment) == (True, "photos/film.mp4", "1:02")
    results = json.loads(run("search", "green", "--json"))["results"]
    assert (results[0]["path"][-8:], results[0]["moment_ms"]) == ("film.mp4", 31_000)
    assert run("search", "blue type:video", "--print0").count("film.mp4") == 1


def test_the_terminal_shows_the_frame_of_the_moment(run: Run) -> None:
    for colour, code in (("blue", "0;0;25"), ("green", "0;25")):
        shown = run("search", colour, "--top", "1", "--thumbnails", "blocks")
        assert f"\x1b[38;2;{code}" in shown
        assert "film.mp4" in shown


def test_status_counts_photos_and_the_videos_among_them(run: Run) -> None:
    shown = run("status")
    assert "photos: 2 photos (1 of them videos), read to the end" in shown
    assert ": 2 photos, " in shown.split("model")[1]
    [folder] = json.loads(run("status", "--json"))["folders"]
    assert (folder["photos"], folder["videos"]) == (2, 1)
