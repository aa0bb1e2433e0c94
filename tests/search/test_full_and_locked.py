"""Disks that are full and folders that cannot be written to, as the system has them."""

import ctypes
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fixtures.colour_bundle import make_colour_bundle

from retrieval.search.indexing import BATCH
from tests.fakes import save_colour

SCRIPT = Path(__file__).with_name("fill_disk.py")
PHOTOS = 4 * BATCH
MOUNT = ("unshare", "--map-root-user", "--mount", "sh", "-ec")
_DROP_CAPABILITY = 24
_PAST_PERMISSIONS = (1, 2)

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(PHOTOS):
        save_colour(folder / f"{number}.png", (number % 256, 200, number // 2), size=8)
    return folder


def may_mount() -> bool:
    if shutil.which(MOUNT[0]) is None:
        return False
    return not subprocess.run([*MOUNT, "mount -t tmpfs none /mnt"], capture_output=True).returncode


@pytest.mark.skipif(not may_mount(), reason="the system lets no test mount a small file system")
@pytest.mark.parametrize(
    ("dim", "leave"),
    [
        pytest.param(4096, 700_000, id="vectors"),
        pytest.param(16, 200_000, id="catalog"),
        pytest.param(16, 0, id="full before"),
    ],
)
def test_a_full_disk_keeps_what_was_reported(
    tmp_path: Path, photos: Path, dim: int, leave: int
) -> None:
    """`test_interrupted` limits the size of one file; here every file meets the same full disk."""
    (tmp_path / "disk").mkdir()
    script = f'mount -t tmpfs -o size=6m none "{tmp_path / "disk"}"; exec "$@"'
    arguments = [str(SCRIPT), str(tmp_path / "disk"), str(photos), str(dim), str(leave)]
    done = subprocess.run(
        [*MOUNT, script, "sh", sys.executable, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["error"] and "\n" not in found["error"]
    assert found["reported"] < PHOTOS
    assert found["left"] == found["reported"]
    assert found["added"] == PHOTOS - found["reported"]
    assert found["found"] == PHOTOS
    assert found["wrong"] == []


@pytest.fixture
def places(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Photos and a home, both writable again in the end so that they can be removed."""
    photos, home = tmp_path / "photos", tmp_path / "home"
    for colour in ("red", "blue"):
        save_colour(photos / "deep" / f"{colour}.png", colour)
    home.mkdir()
    yield photos, home
    for place in (photos, home):
        set_mode(place, writable=True)


def set_mode(place: Path, *, writable: bool) -> None:
    for path in (place, *place.rglob("*")):
        mode = 0o644 if writable else 0o444
        path.chmod(mode | (0o111 if path.is_dir() else 0))


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """leanclip as somebody who is not root: for root, no folder would be read-only."""
    bundle = make_colour_bundle(tmp_path / "bundle")
    libc = ctypes.CDLL(None)

    def obey() -> None:
        for capability in _PAST_PERMISSIONS:
            libc.prctl(_DROP_CAPABILITY, capability, 0, 0, 0)

    def run(verb: str, *words: object) -> subprocess.CompletedProcess[str]:
        options = ["--model", str(bundle)] if verb == "index" else []
        line = [sys.executable, "-m", "retrieval.cli", verb, *map(str, words), *options]
        return subprocess.run(line, capture_output=True, text=True, preexec_fn=obey)

    return run


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such capabilities")
def test_photos_that_cannot_be_written_are_indexed(
    command: Command, places: tuple[Path, Path]
) -> None:
    photos, home = places
    set_mode(photos, writable=False)
    (photos / "deep").chmod(0o555)
    done = command("index", photos, "--home", home, "--json")
    assert json.loads(done.stdout)["added"] == 2, done.stderr
    assert sorted(path.name for path in photos.rglob("*")) == ["blue.png", "deep", "red.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such capabilities")
def test_a_home_that_cannot_be_written_is_one_clear_line(
    command: Command, places: tuple[Path, Path]
) -> None:
    photos, home = places

    def refused(verb: str, *words: object) -> None:
        done = command(verb, *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"leanclip: {home}")
        assert done.stderr.strip().endswith("; make that folder writable, or choose another --home")
        assert done.stderr.count("\n") == 1

    set_mode(home, writable=False)
    refused("index", photos, "--home", home)
    refused("index", photos, "--home", home / "deeper")
    assert list(home.iterdir()) == []
    set_mode(home, writable=True)
    assert command("index", photos, "--home", home).returncode == 0
    content = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    set_mode(home, writable=False)
    refused("index", photos, "--home", home)
    refused("search", "red", "--home", home)
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == content
