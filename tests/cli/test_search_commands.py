import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fixtures.colour_bundle import make_colour_bundle
from PIL import Image

from retrieval.catalog.catalog import CATALOG_FILE
from retrieval.cli.app import main
from retrieval.search.indexing import BATCH
from tests.fakes import COLOURS, save_colour


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_colour_bundle(tmp_path_factory.mktemp("bundles") / "colour")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for colour in COLOURS:
        for number in range(2):
            save_colour(tmp_path / "photos" / f"{colour} {number}.jpg", colour)
    return tmp_path / "photos"


def _hear_ctrl_c() -> None:
    """A shell's background job ignores Ctrl-C, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Shell:
    """Runs ``leanclip`` with one home and one default model, in this process or another."""

    def __init__(self, home: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._capture = capture

    def start(self, *words: object, python: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *python, "-m", "retrieval.cli", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_hear_ctrl_c,
        )

    def both(self, *words: object) -> tuple[str, str]:
        """Standard output and error of a command that must succeed."""
        status, out, error = self._main(words)
        assert status == 0, error
        return out, error

    def run(self, *words: object) -> str:
        """Standard output of a command that must succeed."""
        return self.both(*words)[0]

    def refusal(self, *words: object) -> str:
        """The one line on standard error of a command that must fail."""
        status, out, error = self._main(words)
        assert (status, out) == (1, ""), error
        assert error.startswith("leanclip: ") and error.count("\n") == 1, error
        return error

    def _main(self, words: tuple[object, ...]) -> tuple[int, str, str]:
        self._capture.readouterr()
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.setattr("sys.argv", ["leanclip", *map(str, words)])
            main()
        out, error = self._capture.readouterr()
        return int(ended.value.code or 0), out, error


@pytest.fixture
def shell(
    tmp_path: Path,
    bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEANCLIP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LEANCLIP_MODEL", str(bundle))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return Shell(tmp_path / "home", capsys)


def found(line_or_lines: str) -> list[str]:
    return [Path(line.split("\t")[1]).name for line in line_or_lines.splitlines()]


def test_one_command_indexes_and_searches(shell: Shell, photos: Path) -> None:
    process = shell.start("search", "red", photos, "--top", 2)
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0
    assert out.splitlines() == ["1.0000\tphotos/red 0.jpg", "1.0000\tphotos/red 1.jpg"]
    assert "10 new photos indexed" in error
    assert found(shell.run("search", "blue", "--top", 1)) == ["blue 0.jpg"]


def test_torch_is_never_loaded(shell: Shell, photos: Path) -> None:
    for words in (("index", photos), ("search", "red"), ("search", photos / "red 0.jpg")):
        process = shell.start(*words, python=("-X", "importtime"))
        _, imports = process.communicate(timeout=300)
        assert process.returncode == 0
        assert "retrieval.search.library" in imports
        assert not [line for line in imports.splitlines() if line.split("|")[-1].strip() == "torch"]


def test_index_tells_what_it_did(shell: Shell, photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"x")
    first = shell.run("index", photos)
    assert first.startswith("photos: 10 photos can be searched: 10 added, 0 changed, 0 removed")
    assert "skipped 1:\n  photos/bad.jpg: is not a photo" in first
    second = json.loads(shell.run("index", photos, "--json"))
    assert (second["added"], second["unchanged"], second["model"]) == (0, 10, "colour-0")
    assert [Path(item["path"]).name for item in second["skipped"]] == ["bad.jpg"]


def test_search_as_json(shell: Shell, photos: Path) -> None:
    answer = json.loads(shell.run("search", "green", photos, "--top", 3, "--json"))
    assert answer["query"] == "green"
    assert answer["model"] == "colour-0"
    assert [set(hit) for hit in answer["results"]] == [
        {"path", "score", "id", "moment_ms", "taken_at"}
    ] * 3
    assert answer["results"][0]["path"] == str((photos / "green 0.jpg").resolve())
    scores = [hit["score"] for hit in answer["results"]]
    assert scores == sorted(scores, reverse=True)


def test_no_indexing_leaves_new_photos_out(shell: Shell, photos: Path) -> None:
    shell.run("index", photos)
    save_colour(photos / "new.jpg", "red")
    assert "new.jpg" not in found(shell.run("search", "red", photos, "--no-indexing"))
    assert "new.jpg" in found(shell.run("search", "red", photos, "--top", 3))


def test_a_photo_is_a_query(shell: Shell, photos: Path) -> None:
    shell.run("index", photos)
    assert found(shell.run("search", "photos/blue 1.jpg", "--top", 2)) == [
        "blue 0.jpg",
        "blue 1.jpg",
    ]


def test_status_names_folders_models_and_skipped_files(shell: Shell, photos: Path) -> None:
    assert "nothing is indexed yet" in shell.run("status")
    assert not shell.home.exists()
    (photos / "bad.jpg").write_bytes(b"x")
    shell.run("index", photos)
    text = shell.run("status")
    assert "photos: 10 photos" in text
    assert "colour-0 (default): 10 photos, 16 numbers each" in text
    assert "photos/bad.jpg: is not a photo" in text
    status = json.loads(shell.run("status", "--json"))
    assert status["folders"][0]["photos"] == 10
    assert status["folders"][0]["skipped"] == 1
    assert status["models"][0]["serving"] is True
    assert len(status["skipped"]) == 1


def test_another_model_is_built_beside_the_first(
    shell: Shell, photos: Path, tmp_path: Path
) -> None:
    shell.run("index", photos)
    other = make_colour_bundle(tmp_path / "other", seed=1, dim=24)
    assert "holds vectors of colour-0" in shell.refusal("search", "red", "--model", other)
    shell.run("index", photos, "--model", "other")
    assert json.loads(shell.run("search", "red", "--json"))["model"] == "colour-1"
    models = json.loads(shell.run("status", "--json"))["models"]
    assert [(m["name"], m["serving"]) for m in models] == [("colour-0", False), ("colour-1", True)]
    assert json.loads(shell.run("search", "red", "--json", "--model", "default"))["results"]


def test_what_goes_wrong_takes_one_line(shell: Shell, photos: Path, tmp_path: Path) -> None:
    assert "nothing is indexed yet" in shell.refusal("search", "red")
    assert "no such folder" in shell.refusal("search", "red", tmp_path / "nowhere")
    assert "no such folder" in shell.refusal("index", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "no photos in" in shell.refusal("index", tmp_path / "empty")
    assert "query is empty" in shell.refusal("search", "", photos)
    assert "no model at" in shell.refusal("index", photos, "--model", tmp_path / "nowhere")
    sheet = shell.refusal("search", "red", photos, "--sheet", "a.txt")
    assert "must end in .html, .png or .jpg" in sheet
    shell.run("index", photos / ".." / "photos")
    (tmp_path / "new").mkdir()
    assert "leave out --no-indexing" in shell.refusal(
        "search", "red", tmp_path / "new", "--no-indexing"
    )


def test_a_folder_of_nothing_but_damage(shell: Shell, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "zero.jpg").touch()
    assert "none of its files can be read" in shell.refusal("search", "red", tmp_path / "bad")
    assert "skipped 1" in shell.run("index", tmp_path / "bad")
    shell.run("index", photos)
    assert "none of its files can be read" in shell.refusal("search", "red", tmp_path / "bad")


def test_a_newer_catalog_is_refused(shell: Shell, photos: Path) -> None:
    shell.run("index", photos)
    with sqlite3.connect(shell.home / CATALOG_FILE) as connection:
        connection.execute("PRAGMA user_version = 999")
    for words in (("search", "red"), ("status",), ("index", photos)):
        assert "written by a newer leanclip" in shell.refusal(*words)


def test_a_damaged_bundle_is_refused(
    shell: Shell, photos: Path, tmp_path: Path, bundle: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(bundle, broken)
    (broken / "image.onnx").write_bytes(b"damaged")
    assert "is damaged" in shell.refusal("index", photos, "--model", broken)


@pytest.mark.parametrize("query", ["赤い犬", "🐕", "крас ный", "red " * 400])
def test_any_sentence(shell: Shell, photos: Path, query: str) -> None:
    out, error = shell.both("search", query, photos, "--top", 1)
    assert len(out.splitlines()) == 1
    assert ("its end was ignored" in error) == (len(query) > 1000)


def test_odd_names_reach_terminal_and_json(shell: Shell, photos: Path) -> None:
    odd = os.fsdecode(b"\xff\x1b[31m\n.png")
    save_colour(photos / odd, "red")
    lines = shell.run("search", "red", photos, "--top", 3).splitlines()
    assert len(lines) == 3
    assert any(line.endswith("photos/\\xff\\x1b[31m\\n.png") for line in lines)
    answer = json.loads(shell.run("search", "red", "--top", 3, "--json"))
    assert odd in {Path(hit["path"]).name for hit in answer["results"]}


@pytest.mark.parametrize("name", ["sheet.html", "sheet.png"])
def test_a_contact_sheet_is_written(shell: Shell, photos: Path, name: str, tmp_path: Path) -> None:
    shell.run("search", "yellow <b>", photos, "--sheet", name)
    content = (tmp_path / name).read_bytes()
    if name.endswith("png"):
        assert content.startswith(b"\x89PNG")
    else:
        assert b"yellow &lt;b&gt;" in content
        assert content.count(b"data:image/jpeg") == 10


def test_ctrl_c_keeps_what_is_done_and_the_next_run_goes_on(shell: Shell, photos: Path) -> None:
    # Noise does not compress: each photo takes long enough for the signal to come in between.
    first = photos / "noise.png"
    Image.effect_noise((1200, 1200), 100).convert("RGB").save(first, compress_level=1)
    for number in range(299):
        os.link(first, photos / f"noise {number}.png")
    process = shell.start("index", photos)
    vectors = shell.home / "vectors" / "space-1.fp16"
    two_batches = 2 * BATCH * 16 * 2
    while not (vectors.exists() and vectors.stat().st_size >= two_batches):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in error
    report = json.loads(shell.run("index", photos, "--json"))
    assert 0 < report["unchanged"] < 310
    assert report["photos"] == 310


def test_tune_says_what_it_tried(shell: Shell, photos: Path) -> None:
    shell.run("index", photos)
    tuned = json.loads(shell.run("tune", "--ms", 1e6, "--json"))
    assert tuned["chosen"]["kind"] == "exact"
    assert [trial["recall"] for trial in tuned["trials"]] == [1.0]
    assert "is used" in shell.run("tune", "--ms", 1e6)
    assert shell.run("tune", "--exact") == "searching exactly from now on\n"
    assert "choose hnsw, ivfpq" in shell.refusal("tune", "--kind", "tree")


def test_help_teaches_with_examples(shell: Shell) -> None:
    for command in ("index", "search", "status"):
        assert f"  leanclip {command} " in shell.run(command, "--help")
