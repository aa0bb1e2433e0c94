"""Which files a host should open: the smallest that still retrieve."""

from collections.abc import Mapping
from itertools import product

from export.verify.figures import FileFigures
from export.verify.judge import Evidence
from retrieval.spec.bundle import Bundle, Format, TowerFile
from retrieval.spec.errors import EvaluationError
from retrieval.spec.tower import TOWERS

Choice = tuple[TowerFile, TowerFile]
"""An image file and a text file."""

_EXACT = ("onnx", "fp32")

_NO_TRUTH = (
    "cannot tell what files lose: name the checkpoint of the bundle with --checkpoint, "
    "or export fp32 ONNX files of both towers beside the others"
)


def require_truth(bundle: Bundle) -> None:
    """Refuse a bundle without fp32 ONNX files before any of its files has run.

    Raises:
        EvaluationError: There is nothing to compare with.
    """
    exact = {file.tower for file in bundle.files if (file.format, file.precision) == _EXACT}
    if exact != set(TOWERS):
        raise EvaluationError(_NO_TRUTH)


def choose(
    evidence: Evidence, files: Mapping[TowerFile, FileFigures], tolerance: float
) -> dict[Format, Choice | None]:
    """The smallest pair of each format that this machine could judge.

    Each tower alone has to stay within the tolerance beside the truth's other tower, then
    both together.

    Args:
        evidence: Vectors of all files.
        files: Figures of all files; those that fall short are never chosen.
        tolerance: Points of recall@10 that may be lost, in each direction.

    Returns:
        By format; None where no pair is good enough. Formats that did not run here are
        left out.

    Raises:
        EvaluationError: The truth cannot retrieve, so nothing is known about losses.
    """
    if not evidence.truth.whole:
        raise EvaluationError(_NO_TRUTH)
    chosen: dict[Format, Choice | None] = {}
    for format in dict.fromkeys(file.format for file in files):
        ran = [file for file in files if file.format == format and not files[file].not_run]
        if {file.tower for file in ran} == set(TOWERS):
            good = [file for file in ran if _within(files[file], tolerance)]
            chosen[format] = _smallest(evidence, good, tolerance)
    return chosen


def with_choices(bundle: Bundle, choices: Mapping[Format, Choice | None]) -> Bundle:
    """The manifest with the chosen files marked; formats that were not judged stay."""
    chosen = {file.file for choice in choices.values() if choice for file in choice}
    files = tuple(
        file.model_copy(update={"recommended": file.file in chosen})
        if file.format in choices
        else file
        for file in bundle.files
    )
    return bundle.model_copy(update={"files": files})


def _within(figures: FileFigures, tolerance: float) -> bool:
    lost = figures.loss.worst_at_10 if figures.loss else None
    return not figures.failures and lost is not None and lost <= tolerance


def _smallest(evidence: Evidence, good: list[TowerFile], tolerance: float) -> Choice | None:
    images, texts = ([file for file in good if file.tower == tower] for tower in TOWERS)
    pairs = sorted(product(images, texts), key=lambda pair: pair[0].bytes + pair[1].bytes)
    for image, text in pairs:
        lost = evidence.loss({"image": image, "text": text}).worst_at_10
        if lost is not None and lost <= tolerance:
            return image, text
    return None
