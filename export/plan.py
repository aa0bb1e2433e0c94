"""Which files a bundle is to have: formats times precisions, refused before any work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from export.targets.registry import find_target, require_converters
from export.targets.support import refusal
from export.targets.target import Conversion
from retrieval.spec.errors import ExportError
from retrieval.spec.tower import TOWERS, Tower

Precisions = str | Sequence[str] | None
"""One, several, or None for what suits the model: ``trained`` or ``fp16``."""


@dataclass(frozen=True)
class WantedFile:
    """One file that a bundle is to have."""

    format: str
    tower: Tower
    precision: str

    @property
    def label(self) -> str:
        """What to call it in a message."""
        return f"the {self.tower} tower in {self.format} as {self.precision}"


def plan_files(
    formats: Sequence[str], precisions: Mapping[Tower, Precisions], *, quantised: bool
) -> list[WantedFile]:
    """Every file to write, format by format and tower by tower.

    A precision is written in those of the formats that have it.

    Args:
        formats: Such as ``onnx``.
        precisions: What is asked of each tower; towers that are left out get no file.
        quantised: Whether the model was quantised in training.

    Raises:
        ExportError: A format or precision does not exist, or a format has none of the
            precisions that are asked for.
        MissingExtraError: A converter is not installed.
    """
    formats = list(dict.fromkeys(formats))
    require_converters(formats)
    asked = {tower: _listed(precisions[tower]) for tower in TOWERS if tower in precisions}
    _check_names(formats, [name for names in asked.values() for name in names or ()])
    files: list[WantedFile] = []
    for format in formats:
        offered = find_target(format).precisions
        default = "trained" if quantised and "trained" in offered else "fp16"
        for tower, names in asked.items():
            chosen = [name for name in (names or [default]) if name in offered]
            if not chosen:
                raise ExportError(
                    f"{format} has no {' or '.join(names or ())} files; "
                    f"its precisions: {', '.join(offered)}"
                )
            files += [WantedFile(format, tower, name) for name in chosen]
    return files


def check_files(files: Sequence[WantedFile], conversions: Mapping[Tower, Conversion]) -> None:
    """Refuse files that would be of no use, before anything is converted.

    Raises:
        ExportError: There is one; the message has the reason and the alternative.
    """
    for file in files:
        conversion = conversions[file.tower]
        reason = refusal(
            conversion.model.config, file.tower, file.format, file.precision
        ) or find_target(file.format).refuses(conversion, file.precision)
        if reason:
            raise ExportError(f"cannot export {file.label}: {reason}")


def _listed(precisions: Precisions) -> list[str] | None:
    if not precisions:
        return None
    names = [precisions] if isinstance(precisions, str) else list(precisions)
    return list(dict.fromkeys(names))


def _check_names(formats: Sequence[str], names: Sequence[str]) -> None:
    """Refuse names that are precisions of none of the formats."""
    offered = {format: find_target(format).precisions for format in formats}
    for name in names:
        if any(name in known for known in offered.values()):
            continue
        choices = "; ".join(f"{format}: {', '.join(known)}" for format, known in offered.items())
        raise ExportError(f"there is no precision {name!r} in {choices}")
