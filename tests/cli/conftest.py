"""A bundle that tests of several commands share."""

from pathlib import Path

import pytest

from tests.tiny import tiny_bundle


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle in fp16 with its checkpoint beside it. Do not change it."""
    folder = tmp_path_factory.mktemp("made") / "bundle"
    tiny_bundle(folder, precision="fp16")
    return folder
