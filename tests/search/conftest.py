from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.search.indexing.decoder import Decoder
from retrieval.search.library import Library
from retrieval.spec.preprocessing import Preprocessing
from tests.fakes import ColourEncoder


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder(Preprocessing(size=16))
    yield decoder
    decoder.close()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library.open(tmp_path / "home", ColourEncoder()) as library:
        yield library
