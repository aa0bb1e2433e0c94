"""Fixtures of the tests of starting points."""

from pathlib import Path

import pytest

from retrieval.compress.start.scores import Samples
from retrieval.models.checkpoint import Checkpoint
from tests.compress.starts import make_samples, make_source


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return make_source(tmp_path_factory.mktemp("source") / "checkpoint")


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    return make_samples(tmp_path)
