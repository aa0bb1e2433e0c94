"""The core is compiled once for all of its tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from android_core import MISSING, Core, compile_core


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return compile_core(tmp_path_factory.mktemp("classes"))
    except AssertionError:
        pytest.fail(MISSING, pytrace=False)


@pytest.fixture
def core(classes: Path) -> Iterator[Core]:
    running = Core(classes)
    yield running
    running.close()
