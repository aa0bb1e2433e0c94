"""Two small towers on golden photos and sentences, converted once for all tests here."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from export.targets.target import Conversion, Written
from tests.export.coreml.conversions import traced
from tests.export.coreml.ml_program import MLProgram
from tests.tiny import tiny_model

Wrote = tuple[Path, Written]


@pytest.fixture(scope="session")
def conversions() -> dict[str, Conversion]:
    """Both towers of one model, by name."""
    model = tiny_model()
    return {tower: traced(model, tower).conversion for tower in ("image", "text")}


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Wrote]:
    """Writes a tower in a precision, once: its package and what the target says of it."""
    folder, model = tmp_path_factory.mktemp("coreml"), tiny_model()
    trace = cache(lambda tower: traced(model, tower))

    @cache
    def write(tower: str, precision: str) -> Wrote:
        path = folder / f"{tower}-{precision}.mlpackage"
        return path, trace(tower).write(path, precision)

    return write


@pytest.fixture(scope="session")
def program(written: Callable[[str, str], Wrote]) -> Callable[[str, str], MLProgram]:
    """Reads a tower in a precision back."""
    return cache(lambda tower, precision: MLProgram(written(tower, precision)[0]))
