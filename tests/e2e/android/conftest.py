"""The core is compiled and started once for all of its tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.android.android_core import MISSING, Core, compile_core, no_reply


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return compile_core(tmp_path_factory.mktemp("classes"))
    except AssertionError:
        pytest.fail(MISSING, pytrace=False)


@pytest.fixture(scope="session")
def running(classes: Path) -> Iterator[Core]:
    core = Core(classes)
    yield core
    core.close()


@pytest.fixture
def core(running: Core) -> Iterator[Core]:
    yield running
    running.reply = no_reply
