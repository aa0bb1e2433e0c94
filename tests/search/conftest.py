from collections.abc import Iterator

import pytest

from retrieval.search.indexing.decoder import Decoder
from retrieval.spec.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder(Preprocessing(size=16))
    yield decoder
    decoder.close()
