"""A home without models, and a server on this machine that has one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.transfer import transfer
from tests.fixtures.range_server import RangeServer, range_server
from tests.fixtures.tiny_bundle import write_tiny_bundle


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """A library's home of its own; connections are opened again without a pause."""
    monkeypatch.setenv("LEANCLIP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LEANCLIP_MODEL", raising=False)
    monkeypatch.setattr(transfer.time, "sleep", lambda seconds: None)
    return tmp_path / "home"


@pytest.fixture
def served(tmp_path) -> Iterator[RangeServer]:
    write_tiny_bundle(tmp_path / "www" / "small")
    with range_server(tmp_path / "www") as server:
        yield server
