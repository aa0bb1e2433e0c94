"""``leanclip similar --filter``."""

import json
from pathlib import Path

import pytest
from fixtures.colour_bundle import make_colour_bundle

from retrieval.cli.app import main
from tests.fakes import save_colour


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEANCLIP_HOME", str(tmp_path / "home"))
    for name in ("a.png", "trip/b.png", "trip/c.jpg"):
        save_colour(tmp_path / "photos" / name, "blue")
    with pytest.raises(SystemExit):
        main(["index", "photos", "--model", str(make_colour_bundle(tmp_path / "bundle"))])


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["similar", "photos/a.png", *words])
    out, error = capsys.readouterr()
    return int(ended.value.code or 0), out, error


def test_a_filter_narrows_what_is_alike(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--filter", "in:trip type:png", "--json")
    answer = json.loads(out)
    assert (status, answer["filter"]) == (0, "in:trip type:png")
    assert [Path(hit["path"]).name for hit in answer["results"]] == ["b.png"]


def test_nothing_that_fulfils_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, error = run(capsys, "--filter", "before:1999")
    assert (status, out) == (0, "")
    assert error == "leanclip: no other photo fulfils the filter\n"


def test_words_in_a_filter_are_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, error = run(capsys, "--filter", "dogs in:trip")
    assert status != 0 and out == ""
    assert len(error.splitlines()) == 1 and "leave out words and photos" in error
