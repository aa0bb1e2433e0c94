import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval.catalog.catalog import CATALOG_FILE, Catalog
from retrieval.search.indexing import BATCH, IndexProgress
from retrieval.search.library import Library, remembered_model
from retrieval.spec.errors import CatalogError, PhotoError, QueryError
from retrieval.vision.preprocess import load_pixels
from tests.fakes import COLOURS, ColourEncoder, save_colour


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for colour in COLOURS:
        for number in range(2):
            save_colour(folder / colour / f"{colour} {number}.png", colour)
    return folder


@pytest.fixture
def library(home: Path) -> Iterator[Library]:
    with Library.open(home, ColourEncoder()) as library:
        yield library


def names(hits: list) -> list[str]:
    return [hit.path.name for hit in hits]


def counts(report) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.removed, report.unchanged


def touch_later(path: Path) -> None:
    later = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(later, later))


def test_a_sentence_finds_what_it_says(library: Library, photos: Path) -> None:
    library.ensure_index(photos)
    for colour in COLOURS:
        assert names(library.search(colour, top=2)) == [f"{colour} 0.png", f"{colour} 1.png"]


def test_scores_equal_a_numpy_reference(library: Library, photos: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(40):
        save_colour(photos / f"{number}.png", tuple(rng.integers(0, 256, 3).tolist()))
    library.ensure_index(photos)
    paths = sorted(photos.rglob("*.png"))
    pixels = np.stack([load_pixels(path, library.encoder.preprocessing) for path in paths])
    vectors = library.encoder.encode_pixels(pixels).astype(np.float16).astype(np.float32)
    scores = vectors @ library.encoder.encode_sentences(["red white"])[0]
    hits = library.search("red white", top=len(paths))
    by_path = dict(zip(paths, scores, strict=True))
    np.testing.assert_allclose([h.score for h in hits], -np.sort(-scores), atol=1e-5)
    np.testing.assert_allclose([by_path[h.path] for h in hits], [h.score for h in hits], atol=1e-5)


def test_a_photo_finds_similar_ones(library: Library, photos: Path, tmp_path: Path) -> None:
    library.ensure_index(photos)
    asked = save_colour(tmp_path / "almost blue.jpg", (20, 10, 240))
    assert names(library.search(str(asked), top=2)) == ["blue 0.png", "blue 1.png"]


def test_a_folder_limits_the_search(library: Library, photos: Path) -> None:
    library.ensure_index(photos)
    found = library.search("red", top=50, folder=photos / "green")
    assert names(found) == ["green 0.png", "green 1.png"]
    assert library.count(photos / "green") == 2
    assert library.count() == 10


def test_a_second_run_reads_only_what_changed(library: Library, photos: Path) -> None:
    assert counts(library.ensure_index(photos)) == (10, 0, 0, 0)
    assert counts(library.ensure_index(photos)) == (0, 0, 0, 10)
    assert library.encoder.photos_encoded == 10
    save_colour(photos / "new.png", "red")
    touch_later(save_colour(photos / "red" / "red 0.png", "blue"))
    (photos / "white" / "white 0.png").unlink()
    (photos / "green" / "green 0.png").rename(photos / "renamed.png")
    report = library.ensure_index(photos)
    assert counts(report) == (1, 1, 1, 7)
    assert report.moved == 1
    assert library.encoder.photos_encoded == 12
    assert library.count() == 10
    assert names(library.search("red", top=2)) == ["red 1.png", "new.png"]
    assert set(names(library.search("blue", top=3))) == {"red 0.png", "blue 0.png", "blue 1.png"}
    assert set(names(library.search("green", top=2))) == {"green 1.png", "renamed.png"}
    assert "white 0.png" not in names(library.search("white", top=50))


def test_a_deleted_photo_vanishes_before_the_next_indexing(library: Library, photos: Path) -> None:
    library.ensure_index(photos)
    for number in range(2):
        (photos / "red" / f"red {number}.png").unlink()
    hits = library.search("red", top=8)
    assert len(hits) == 8
    assert not any(name.startswith("red") for name in names(hits))


def test_a_folder_that_comes_back_is_not_encoded_again(library: Library, photos: Path) -> None:
    library.ensure_index(photos)
    aside = photos.parent / "aside"
    (photos / "red").rename(aside)
    assert counts(library.ensure_index(photos)) == (0, 0, 2, 8)
    assert library.count() == 8
    aside.rename(photos / "red")
    assert counts(library.ensure_index(photos)) == (0, 0, 0, 10)
    assert library.encoder.photos_encoded == 10
    assert names(library.search("red", top=1)) == ["red 0.png"]


def test_bad_files_are_skipped_named_and_not_read_again(
    library: Library, tmp_path: Path, awkward_photos: dict[str, Path]
) -> None:
    folder = tmp_path / "awkward"
    shutil.copytree(next(iter(awkward_photos.values())).parent, folder)
    first = library.ensure_index(folder)
    bad = {awkward_photos[key].name for key in ("truncated", "zero_byte", "text", "bomb")}
    assert {path.name for path, _ in first.skipped} == bad
    assert all(why and str(folder) not in why for _, why in first.skipped)
    assert first.added == len(awkward_photos) - len(bad)
    progress: list[IndexProgress] = []
    second = library.ensure_index(folder, progress=progress.append)
    assert second.skipped == first.skipped
    assert progress == []
    touch_later(save_colour(folder / awkward_photos["text"].name, "red"))
    assert {path.name for path, _ in library.ensure_index(folder).skipped} == bad - {
        awkward_photos["text"].name
    }


def test_photos_in_a_locked_folder_have_not_vanished(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.ensure_index(photos)
    scandir = os.scandir

    def refuse(path: Path):
        if Path(path).name == "red":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    report = library.ensure_index(photos)
    assert report.removed == 0
    assert report.skipped == [(photos / "red", "Permission denied")]
    assert library.count() == 10


def test_names_that_are_no_text(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for name in (b"\xff\xfe.png", b"new\nline.png", "🐕.png".encode(), b"a'\".png"):
        save_colour(folder / os.fsdecode(name), "red")
    (folder / os.fsdecode(b"bad\xff.png")).write_bytes(b"")
    report = library.ensure_index(folder)
    assert report.added == 4
    assert len(report.skipped) == 1
    found = {os.fsencode(hit.path.name) for hit in library.search("red")}
    assert found == {b"\xff\xfe.png", b"new\nline.png", "🐕.png".encode(), b"a'\".png"}


def test_what_is_no_photo_to_look_at_is_left_alone(library: Library, photos: Path) -> None:
    save_colour(photos / ".hidden" / "red.png", "red")
    save_colour(photos / ".red.png", "red")
    (photos / "notes.txt").write_text("red")
    (photos / "loop").symlink_to(photos)
    (photos / "broken.png").symlink_to(photos / "nowhere.png")
    os.mkfifo(photos / "pipe.png")
    report = library.ensure_index(photos)
    assert report.added == 10
    assert {path.name for path, _ in report.skipped} == {"broken.png", "pipe.png"}


def test_a_read_only_folder_is_enough(library: Library, photos: Path) -> None:
    before = sorted(photos.rglob("*"))
    photos.chmod(0o555)
    library.ensure_index(photos)
    photos.chmod(0o755)
    assert sorted(photos.rglob("*")) == before


def test_progress_counts_what_is_committed(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for number in range(BATCH + 5):
        save_colour(folder / f"{number}.png", "red")
    (folder / "bad.png").write_bytes(b"x")
    seen = []

    def look(now: IndexProgress) -> None:
        with Catalog.open(home / CATALOG_FILE) as catalog:
            seen.append((now, sum(count.rows for count in catalog.spaces())))

    with Library.open(home, ColourEncoder()) as library:
        library.ensure_index(folder, progress=look)
    assert all(rows == now.done - now.skipped for now, rows in seen)
    assert len(seen) > 2
    assert seen[-1][0] == IndexProgress(BATCH + 6, BATCH + 6, 1)


def test_vectors_of_two_models_never_mix(home: Path, photos: Path) -> None:
    with Library.open(home, ColourEncoder(seed=0), source="old") as old:
        old.ensure_index(photos)
    with Library.open(home, ColourEncoder(seed=1, dim=32), source="new") as new:
        with pytest.raises(CatalogError, match="holds vectors of colour-0"):
            new.search("red")
        new.ensure_index(photos / "red")
        assert names(new.search("green", top=50)) == ["red 0.png", "red 1.png"]
        assert remembered_model(home) == "old"
        assert new.ensure_index(photos).added == 8
        assert names(new.search("green", top=1)) == ["green 0.png"]
    assert remembered_model(home) == "new"
    with Library.open(home, ColourEncoder(seed=0)) as old:
        assert names(old.search("green", top=1)) == ["green 0.png"]
        assert old.encoder.photos_encoded == 0


def test_a_changed_photo_leaves_the_other_models_results(home: Path, photos: Path) -> None:
    with Library.open(home, ColourEncoder(seed=0)) as old:
        old.ensure_index(photos)
        touch_later(save_colour(photos / "red" / "red 0.png", "blue"))
        with Library.open(home, ColourEncoder(seed=1)) as new:
            new.ensure_index(photos)
        assert "red 0.png" not in names(old.search("red", top=50))
        assert old.ensure_index(photos).added == 1


def test_an_embedding_that_is_no_number_costs_one_photo(library: Library, photos: Path) -> None:
    encode = library.encoder.encode_pixels

    def broken(pixels: np.ndarray) -> np.ndarray:
        embeddings = encode(pixels)
        if library.encoder.photos_encoded == len(pixels):
            embeddings[0] = np.nan
        return embeddings

    library.encoder.encode_pixels = broken
    report = library.ensure_index(photos)
    assert report.added == 9
    [(_, why)] = report.skipped
    assert "no finite embedding" in why
    assert all(np.isfinite(hit.score) for hit in library.search("red", top=50))


def test_what_cannot_be_searched_says_so(library: Library, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="nothing is indexed yet"):
        library.search("red")
    with pytest.raises(PhotoError, match="no such folder"):
        library.ensure_index(tmp_path / "nowhere")
    with pytest.raises(PhotoError, match="not a folder"):
        library.ensure_index(photos / "red" / "red 0.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PhotoError, match="no photos in"):
        library.ensure_index(tmp_path / "empty")
    library.ensure_index(photos)
    with pytest.raises(QueryError, match="empty"):
        library.search("  \n")
    with pytest.raises(QueryError, match="no such photo"):
        library.search("nowhere.jpg")
    with pytest.raises(QueryError, match="1 or more"):
        library.search("red", top=0)
    assert library.search("red", folder=tmp_path / "empty") == []


@pytest.mark.parametrize(
    "query",
    ["赤い犬が雪の中を走る", "🐕" * 50, "red " * 5000, "Ünïcödé", "\udcff red", "a/b red.jpg c"],
)
def test_any_sentence_has_an_answer(library: Library, photos: Path, query: str) -> None:
    library.ensure_index(photos)
    assert len(library.search(query, top=3)) == 3


def test_two_processes_index_one_folder(home: Path, photos: Path, tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[3])\n"
        "from pathlib import Path; from tests.fakes import ColourEncoder\n"
        "from retrieval.search.library import Library\n"
        "Library.open(Path(sys.argv[1]), ColourEncoder()).ensure_index(Path(sys.argv[2]))"
    )
    for number in range(3 * BATCH):
        save_colour(photos / f"{number}.png", (number, 0, 0))
    repository = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", script, str(home), str(photos), repository]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(300) for process in running] == [0] * 3
    with Library.open(home, ColourEncoder()) as library:
        assert library.count() == 10 + 3 * BATCH
        assert counts(library.ensure_index(photos)) == (0, 0, 0, 10 + 3 * BATCH)
        hits = library.search("red", top=500)
        assert len({hit.path for hit in hits}) == len(hits) == 10 + 3 * BATCH
