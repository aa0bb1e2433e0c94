"""One line of the table: a tower of a model in one format and precision."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from export.targets.registry import FORMATS, find_target
from retrieval.models.checkpoint import Checkpoint
from retrieval.spec.errors import ExportError
from retrieval.spec.files import sha256_json
from retrieval.spec.tower import Tower

TIMED = ("onnx", "litert")
"""Formats whose runtime is timed on this machine."""

_ON_A_GRID = ("int8", "int4", "mixed")
"""What ``trained`` replaces where a model was quantised in training."""
_CONVERSION_SECONDS = {"onnx": 6.0, "litert": 25.0, "coreml": 12.0, "executorch": 25.0}
_PRECISION_SECONDS = {"mixed": 25.0, "int8-static": 10.0, "pal8": 20.0, "pal6": 10.0, "pal4": 6.0}
"""Of one core, for the time that is left; nothing else depends on them."""
_USUAL_SECONDS = 4.0
_PHOTO_SECONDS = 0.03
_BASELINE_SECONDS = 60.0


@dataclass(frozen=True)
class Model:
    """A model whose towers are measured.

    Attributes:
        name: What its rows are called.
        towers: Which of its towers stand in the table.
        load: Makes or reads it; the same weights each time.
        identity: Names its weights, and the photos and sentences that it is measured with.
        retrieves: Whether its weights are trained, so that recall says something.
        quantised: Whether it was quantised in training.
        photos: About how many it is compared on.
        files: Formats and precisions; None for all that there are.
    """

    name: str
    towers: tuple[Tower, ...]
    load: Callable[[], Checkpoint]
    identity: str
    retrieves: bool = False
    quantised: bool = False
    photos: int = 56
    files: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True)
class Row:
    """A tower in one format and precision.

    Attributes:
        model: Its name.
        tower: Which tower.
        format: Of the file.
        precision: As it is asked for.
        sha256: Names all that decides its figures but the machine and the code.
        photos: About how many its model is compared on.
    """

    model: str
    tower: Tower
    format: str
    precision: str
    sha256: str
    photos: int = 0

    @property
    def key(self) -> str:
        """``model/tower/format/precision``."""
        return f"{self.model}/{self.tower}/{self.format}/{self.precision}"

    @property
    def expected_seconds(self) -> float:
        """Rough duration on one core: its share of a conversion, its comparison, its rounds."""
        offered = len(find_target(self.format).precisions)
        own = _PRECISION_SECONDS.get(self.precision, _USUAL_SECONDS)
        timing = _USUAL_SECONDS + _BASELINE_SECONDS / 4 / offered if self.format in TIMED else 0.0
        compared = 0.0 if self.format == "coreml" else _PHOTO_SECONDS * self.photos
        return _CONVERSION_SECONDS[self.format] / offered + own + compared + timing


def rows_of(model: Model) -> list[Row]:
    """All rows of a model, tower by tower and format by format."""
    return [
        Row(
            model.name,
            tower,
            format,
            precision,
            sha256_json([model.identity, tower, format, precision]),
            model.photos,
        )
        for tower in model.towers
        for format, precision in model.files or _all_files(model)
    ]


def chosen(rows: Sequence[Row], only: Sequence[str]) -> list[Row]:
    """Rows that one of ``only`` names, whole or by its first parts; all if there is none.

    Raises:
        ExportError: A name fits no row.
    """
    found = {name: [row for row in rows if _named(row, name)] for name in only}
    for name, members in found.items():
        if not members:
            raise ExportError(f"--only {name}: no row is called so; see --list")
    wanted = {row for members in found.values() for row in members}
    return [row for row in rows if not only or row in wanted]


def _named(row: Row, name: str) -> bool:
    # Whole parts, since `vit` is a tower and `vit_tiny_patch16_224` another.
    return f"{row.key}/".startswith(f"{name.rstrip('/')}/")


def _all_files(model: Model) -> Iterable[tuple[str, str]]:
    for format in FORMATS:
        offered = find_target(format).precisions
        trained = model.quantised and "trained" in offered
        for precision in offered:
            if precision in (_ON_A_GRID if trained else ("trained",)):
                continue
            yield format, precision
