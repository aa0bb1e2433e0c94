"""``index`` with rules and several folders, ``watch``, ``forget``, ``vacuum``, ``doctor``."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.colour_bundle import make_colour_bundle

from retrieval.catalog.catalog import CATALOG_FILE
from tests.fakes import save_colour


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_colour_bundle(tmp_path_factory.mktemp("bundles") / "colour")


@pytest.fixture
def home(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEANCLIP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LEANCLIP_MODEL", str(bundle))
    for folder, colour in (("one", "red"), ("one/sub", "green"), ("two", "blue")):
        save_colour(tmp_path / folder / f"{colour}.png", colour)
    return tmp_path / "home"


def line(answer: tuple[int, str, str]) -> str:
    """The one line of a refusal."""
    status, out, error = answer
    assert (status, out) == (1, ""), error
    assert error.startswith("leanclip: ") and error.count("\n") == 1, error
    return error


def searchable(leanclip) -> list[str]:
    status, out, error = leanclip("search", "red", "--json")
    assert status == 0, error
    return sorted(Path(hit["path"]).name for hit in json.loads(out)["results"])


def test_several_folders_with_rules_that_last(leanclip, home: Path, tmp_path: Path) -> None:
    status, out, error = leanclip("index", "one", "two", "--exclude", "sub/", "--json")
    assert status == 0, error
    answer = json.loads(out)
    assert [folder["added"] for folder in answer["folders"]] == [1, 1]
    assert (answer["added"], answer["photos"]) == (2, 2)
    assert json.loads(leanclip("status", "--json")[1])["folders"][0]["rules"] == {
        "exclude": ["sub/"]
    }
    assert 'rules {"exclude": ["sub/"]}' in leanclip("status")[1]
    save_colour(tmp_path / "two" / "new.png", "white")
    save_colour(tmp_path / "one" / "sub" / "new.png", "white")
    answer = json.loads(leanclip("index", "--json")[1])
    assert [folder["added"] for folder in answer["folders"]] == [0, 1]
    assert leanclip("search", "green", "one")[0] == 0
    assert searchable(leanclip) == ["blue.png", "new.png", "red.png"]
    assert json.loads(leanclip("index", "one", "--default-rules", "--json")[1])["added"] == 2


def test_a_folder_that_is_not_there_does_not_stop_the_others(leanclip, home: Path) -> None:
    status, out, error = leanclip("index", "one", "nowhere", "two")
    assert status == 1
    assert "nowhere: there is no such folder" in error
    assert "one: 2 photos" in out and "two: 1 photos" in out


def test_indexing_refuses_in_one_line(leanclip, home: Path) -> None:
    assert "cannot understand" in line(leanclip("index", "one", "--include", "[z-a]"))
    assert not home.exists()
    assert "name a folder" in line(leanclip("index"))
    assert leanclip("index", "one")[0] == 0
    assert "rules of its own" in line(leanclip("index", "one/sub", "--hidden"))


def test_forget_takes_out_of_results_and_leaves_files(leanclip, home: Path, tmp_path: Path) -> None:
    assert "nothing is indexed yet" in line(leanclip("forget", "one"))
    leanclip("index", "one", "two")
    (tmp_path / "two" / "blue.png").unlink()
    status, out, _ = leanclip("forget", "one/sub", "two")
    assert (status, out.splitlines()) == (
        0,
        ["one/sub: 1 photos forgotten", "two: 1 photos forgotten"],
    )
    assert searchable(leanclip) == ["red.png"]
    assert (tmp_path / "one" / "sub" / "green.png").exists()
    assert "is not indexed" in line(leanclip("forget", "two"))
    # All or nothing.
    assert "is not indexed" in line(leanclip("forget", "one", "nowhere"))
    assert searchable(leanclip) == ["red.png"]


def test_vacuum_says_what_it_won(leanclip, home: Path, tmp_path: Path) -> None:
    assert "nothing is indexed yet" in line(leanclip("vacuum"))
    leanclip("index", "one")
    leanclip("forget", "one/sub")
    assert "1 vectors and 0 vanished photos dropped" in leanclip("vacuum")[1]
    answer = json.loads(leanclip("vacuum", "--json")[1])
    assert answer["rows"] == 0
    assert answer["bytes_won"] == answer["bytes_before"] - answer["bytes_after"]
    assert searchable(leanclip) == ["red.png"]


def test_doctor_finds_and_mends_lost_vectors(leanclip, home: Path) -> None:
    assert leanclip("doctor")[0] == 0
    leanclip("index", "one", "two")
    status, out, _ = leanclip("doctor")
    assert status == 0
    assert all(row.startswith("ok ") for row in out.splitlines())
    [vectors] = (home / "vectors").iterdir()
    os.truncate(vectors, vectors.stat().st_size // 3)
    status, out, _ = leanclip("doctor")
    assert status == 1
    assert "wrong  vectors of colour-0: 2 of 3 are missing on disk" in out
    assert "run leanclip doctor --repair" in out
    status, out, _ = leanclip("doctor", "--repair", "--json")
    assert status == 0
    assert json.loads(out)["left"] is False
    assert searchable(leanclip) == ["blue.png", "green.png", "red.png"]
    assert leanclip("doctor")[0] == 0


def test_doctor_makes_a_damaged_catalog_again(leanclip, home: Path, tmp_path: Path) -> None:
    for number in range(300):
        save_colour(tmp_path / "two" / f"{number}.png", (number % 256, 9, 99), size=8)
    leanclip("index", "one", "--exclude", "sub/")
    leanclip("index", "two")
    catalog = home / CATALOG_FILE
    content = bytearray(catalog.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    catalog.write_bytes(content)
    assert "wrong  the catalog is damaged" in leanclip("doctor")[1]
    assert catalog.read_bytes() == content
    status, out, error = leanclip("doctor", "--repair")
    assert status == 0, error
    [aside] = home.glob("damaged-*")
    assert (aside / CATALOG_FILE).read_bytes() == content
    assert "1 photos, 1 read again" in out and "301 photos, 301 read again" in out
    assert len(json.loads(leanclip("status", "--json")[1])["folders"]) == 2
    assert leanclip("doctor")[0] == 0


def test_doctor_says_when_no_folder_could_be_read(leanclip, home: Path) -> None:
    leanclip("index", "one")
    (home / CATALOG_FILE).write_bytes(b"not a catalog" * 1000)
    status, out, _ = leanclip("doctor", "--repair")
    assert status == 1
    assert "no folder could be read from it: leanclip index FOLDER" in out
    assert leanclip("index", "one")[0] == 0
    assert searchable(leanclip) == ["green.png", "red.png"]


def test_watch_indexes_until_ctrl_c(leanclip, home: Path, tmp_path: Path) -> None:
    assert "name a folder" in line(leanclip("watch"))
    process = subprocess.Popen(
        [sys.executable, "-m", "retrieval.cli", "watch", "one"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores Ctrl-C, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "one: 2 added\n"
    save_colour(tmp_path / "one" / "white.png", "white")
    assert process.stdout.readline() == "one: 1 added\n"
    (tmp_path / "one" / "red.png").unlink()
    assert process.stdout.readline() == "one: 1 removed\n"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "watching one" in error and error.endswith("what was finished is kept\n")
    assert searchable(leanclip) == ["green.png", "white.png"]


def test_help_teaches_with_examples(leanclip) -> None:
    for command in ("watch", "forget", "vacuum", "doctor"):
        assert f"  leanclip {command}" in leanclip(command, "--help")[1]
