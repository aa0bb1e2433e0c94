"""One exported bundle that the tests of this folder share."""

from pathlib import Path

import pytest

from tests.tiny import tiny_bundle


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle in fp16 with its checkpoint beside it. Do not change it."""
    folder = tmp_path_factory.mktemp("tiny") / "bundle"
    tiny_bundle(folder)
    return folder
