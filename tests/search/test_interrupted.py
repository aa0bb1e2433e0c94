import subprocess
import sys
import time
from pathlib import Path

import kill_indexing
import numpy as np
import psutil
import pytest

from retrieval.catalog.catalog import CATALOG_FILE
from retrieval.search.indexing import BATCH, IndexProgress
from retrieval.search.library import Library
from retrieval.vision.preprocess import load_pixels
from tests.fakes import ColourEncoder, save_colour

SCRIPT = Path(__file__).with_name("index_in_background.py")
PHOTOS = 8 * BATCH
KILLS = 20


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(PHOTOS):
        save_colour(folder / f"{number}.png", (number % 256, 200, number // 2), size=8)
    return folder


def start(home: Path, photos: Path, *, dim: int = 16, limit: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(home), str(photos), str(dim), str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_all_found(library: Library, photos: Path) -> None:
    """Every photo is found by its own content: no vector sits at another photo's row."""
    hits = {hit.path: hit.score for hit in library.search("red", top=10 * PHOTOS)}
    paths = sorted(photos.iterdir())
    assert sorted(hits) == paths
    pixels = np.stack([load_pixels(path, library.encoder.preprocessing) for path in paths])
    expected = library.encoder.encode_pixels(pixels) @ library.encoder.encode_sentences(["red"])[0]
    np.testing.assert_allclose([hits[path] for path in paths], expected, atol=2e-3)


def test_kills_lose_nothing_that_was_reported(tmp_path: Path) -> None:
    raw = list(kill_indexing.trials(tmp_path, kills=KILLS))
    assert len(raw) == KILLS
    # Some kills hit in the middle of the work.
    assert sum(row["reports"] > 0 for row in raw) > KILLS / 4


def test_a_library_that_lost_something_is_noticed(tmp_path: Path) -> None:
    for _ in kill_indexing.trials(tmp_path, kills=1):
        pass
    vectors = next((tmp_path / "home" / "vectors").iterdir())
    vectors.write_bytes(vectors.read_bytes()[::-1])
    with pytest.raises(kill_indexing.LostError):
        kill_indexing.check(tmp_path / "home", tmp_path / "photos")


def test_decoding_processes_end_with_a_killed_run(tmp_path: Path, photos: Path) -> None:
    process = start(tmp_path / "home", photos)
    assert process.stdout is not None
    process.stdout.readline()
    while not (children := psutil.Process(process.pid).children(recursive=True)):
        time.sleep(0.01)
    process.kill()
    process.communicate()
    psutil.wait_procs(children, timeout=30)
    assert not [child for child in children if child.is_running()]


@pytest.mark.parametrize(
    ("dim", "limit", "full"), [(4096, 600_000, "space-1.fp16"), (16, 130_000, CATALOG_FILE)]
)
def test_a_full_disk_keeps_what_is_done(
    tmp_path: Path, photos: Path, dim: int, limit: int, full: str
) -> None:
    process = start(tmp_path / "home", photos, dim=dim, limit=limit)
    out, error = process.communicate(timeout=300)
    reported = max(map(int, out.split()))
    assert process.returncode == 1
    assert full in error
    assert error.count("\n") == 1
    assert reported < PHOTOS
    with Library.open(tmp_path / "home", ColourEncoder(dim=dim)) as library:
        assert library.count() == reported
        assert library.ensure_index(photos).added == PHOTOS - reported
        check_all_found(library, photos)


def test_ctrl_c_keeps_finished_batches(tmp_path: Path, photos: Path) -> None:
    done = []

    def interrupt(now: IndexProgress) -> None:
        done.append(now.done)
        if now.done >= 2 * BATCH:
            raise KeyboardInterrupt

    with Library.open(tmp_path / "home", ColourEncoder()) as library:
        with pytest.raises(KeyboardInterrupt):
            library.ensure_index(photos, progress=interrupt)
        assert library.count() == done[-1] < PHOTOS
        assert library.ensure_index(photos).added == PHOTOS - done[-1]


def test_a_failing_encoder_undoes_only_its_batch(tmp_path: Path, photos: Path) -> None:
    encoder = ColourEncoder()
    encode = encoder.encode_pixels
    with Library.open(tmp_path / "home", encoder) as library:
        done = []

        def fail(pixels: np.ndarray) -> np.ndarray:
            if encoder.photos_encoded >= BATCH:
                raise RuntimeError("out of memory")
            return encode(pixels)

        encoder.encode_pixels = fail
        with pytest.raises(RuntimeError, match="out of memory"):
            library.ensure_index(photos, progress=lambda now: done.append(now.done))
        encoder.encode_pixels = encode
        assert BATCH <= library.count() == done[-1] < PHOTOS
        assert library.ensure_index(photos).unchanged == done[-1]
