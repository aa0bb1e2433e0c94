"""One exported bundle that the tests of this folder share, and tests that run on demand."""

from pathlib import Path

import pytest

from tests.tiny import tiny_bundle


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle in fp16 with its checkpoint beside it. Do not change it."""
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    tiny_bundle(folder, precision="fp16", licence="CC0-1.0", training_data=("noise",))
    return folder


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes minutes; runs only with -m slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("markexpr"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]
