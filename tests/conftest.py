"""Fixtures that tests of several packages share."""

from pathlib import Path

import pytest

from tests.fixtures.make_photos import make_awkward_photos


@pytest.fixture(scope="session")
def awkward_photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Photo files by what is odd about them; see `make_awkward_photos`. Do not change them."""
    return make_awkward_photos(tmp_path_factory.mktemp("awkward"))
