"""One exported bundle that the tests of this folder share."""

from pathlib import Path

import pytest

from tests.tiny import tiny_bundle


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle in fp16 with its checkpoint beside it. Do not change it."""
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    tiny_bundle(folder, precision="fp16", licence="CC0-1.0", training_data=("noise",))
    return folder


@pytest.fixture(scope="session")
def checkpoint(exported: Path) -> Path:
    """What that bundle was exported from. Do not change it."""
    return exported.with_name("bundle.checkpoint")
