from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval.index import approximate
from retrieval.index.approximate import ApproximateIndex
from retrieval.index.tuning import Budget
from retrieval.search.library import Library
from retrieval.spec.errors import CatalogError, QueryError
from tests.fakes import ColourEncoder, save_colour

DIM, PHOTOS = 32, 260
GENEROUS = Budget(milliseconds=1e9, bytes=1e9, recall=0.5)
# Less than two bytes for each number, so that exact search does not fit.
SMALL = Budget(milliseconds=1e9, bytes=2 * DIM * PHOTOS - 1, recall=0.1)
SENTENCES = ["red", "green", "blue", "yellow and white"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number, colour in enumerate(np.random.default_rng(0).integers(0, 256, (PHOTOS, 3))):
        save_colour(tmp_path / "photos" / f"{number:03}.png", tuple(colour.tolist()))
    return tmp_path / "photos"


@pytest.fixture
def library(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    # So few photos are otherwise compared one by one.
    monkeypatch.setattr(approximate, "_FEW", 4)
    with Library.open(tmp_path / "home", ColourEncoder(DIM)) as library:
        library.ensure_index(photos)
        yield library


def test_exact_search_stays_while_it_keeps_within_the_budget(library: Library) -> None:
    tuning = library.tune(GENEROUS, sentences=SENTENCES)
    assert tuning.chosen is not None and tuning.chosen.kind == "exact"
    assert len(tuning.trials) == 1


def test_an_approximate_index_answers_until_it_is_taken_back(
    library: Library, photos: Path
) -> None:
    exact = library.search("red", top=3)
    tuning = library.tune(SMALL, sentences=SENTENCES)
    assert tuning.chosen is not None and tuning.chosen.kind == "ivfpq"
    assert {trial.kind for trial in tuning.trials} == {"exact", "ivfpq"}
    assert isinstance(used(library), ApproximateIndex)
    assert library.search("red", top=1)[0].score == pytest.approx(exact[0].score, abs=2e-3)
    save_colour(photos / "new.png", "red")
    library.ensure_index(photos)
    assert library.search("red", top=1)[0].path.name == "new.png"
    assert isinstance(used(library), ApproximateIndex)
    library.search_exactly()
    assert not isinstance(used(library), ApproximateIndex)
    assert [path.name for path in (library._home / "vectors").iterdir()] == ["space-1.fp16"]


def test_a_budget_that_nothing_keeps_changes_nothing(library: Library) -> None:
    tuning = library.tune(Budget(milliseconds=1e-9, bytes=1e9), sentences=SENTENCES)
    assert tuning.chosen is None
    assert {trial.kind for trial in tuning.trials} == {"exact", "hnsw", "ivfpq"}
    assert not isinstance(used(library), ApproximateIndex)


def test_the_built_in_sentences_serve_when_none_are_given(library: Library) -> None:
    assert library.tune(GENEROUS).trials[0].recall == 1


def test_what_cannot_be_tuned_says_so(tmp_path: Path, library: Library) -> None:
    with pytest.raises(QueryError, match="no sentences"):
        library.tune(GENEROUS, sentences=[])
    with (
        Library.open(tmp_path / "empty", ColourEncoder(DIM)) as empty,
        pytest.raises(CatalogError, match="nothing is indexed"),
    ):
        empty.tune(GENEROUS)


def used(library: Library) -> object:
    library.search("red", top=1)
    return library._index
