import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fakes import ColourEncoder, save_colour

from retrieval.catalog.catalog import CATALOG_FILE
from retrieval.search.indexing import BATCH, IndexProgress
from retrieval.search.library import Library
from retrieval.vision.preprocess import load_pixels

SCRIPT = Path(__file__).with_name("index_in_background.py")
PHOTOS = 8 * BATCH
TRIALS = 6


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


def test_kill_loses_nothing_that_was_reported(tmp_path: Path, photos: Path) -> None:
    rng = random.Random(0)
    killed_in_the_middle = 0
    for trial in range(TRIALS):
        home = tmp_path / str(trial)
        process = start(home, photos)
        assert process.stdout is not None
        reported = int(process.stdout.readline())
        for _ in range(rng.randrange(6)):
            reported = int(process.stdout.readline())
        time.sleep(rng.random() * 0.03)
        process.kill()
        reported = max([reported, *map(int, process.communicate()[0].split())])
        encoder = ColourEncoder(dim=16)
        with Library.open(home, encoder) as library:
            kept = library.count()
            assert kept >= reported
            report = library.ensure_index(photos)
            assert (report.added, report.unchanged) == (PHOTOS - kept, kept)
            assert encoder.photos_encoded == PHOTOS - kept
            # What a killed run wrote and never committed takes no place.
            assert (home / "vectors" / "space-1.fp16").stat().st_size == PHOTOS * 16 * 2
            check_all_found(library, photos)
        killed_in_the_middle += 0 < kept < PHOTOS
    assert killed_in_the_middle


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
