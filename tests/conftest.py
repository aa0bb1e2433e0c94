"""Fixtures that tests of several packages share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.fixtures.make_photos import make_awkward_photos

# Where a change lands, the same examples run each time; at a desk, new ones are looked for.
settings.register_profile("landing", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("landing")


@pytest.fixture(scope="session")
def awkward_photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Photo files by what is odd about them; see `make_awkward_photos`. Do not change them."""
    return make_awkward_photos(tmp_path_factory.mktemp("awkward"))
