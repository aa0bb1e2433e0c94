"""Fixtures that tests of several packages share."""

import os
import sys
from pathlib import Path

# Workers of the test run share the processors: more threads in each would only wait for each
# other. It counts for every process that a test starts, too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from retrieval.cli.app import main
from tests.fixtures.make_photos import make_awkward_photos


@pytest.fixture(scope="session")
def awkward_photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Photo files by what is odd about them; see `make_awkward_photos`. Do not change them."""
    return make_awkward_photos(tmp_path_factory.mktemp("awkward"))


@pytest.fixture
def leanclip(monkeypatch, capsys):
    """Run the command in this process: (exit status, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["leanclip", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        output = capsys.readouterr()
        return left.value.code or 0, output.out, output.err

    return run
