"""The verification ladder: every file of a bundle, from cosines to what it retrieves."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from export.verify.culprit import find_error
from export.verify.figures import FileFigures, PairFigures, Verification
from export.verify.golden import MIN_COSINE, Golden, make_golden
from export.verify.judge import TARGETS, Evidence, judge_file, judge_pairs
from export.verify.material import Material, gathered
from export.verify.recommend import choose, require_truth, with_choices
from export.verify.run_file import run_file
from export.verify.truth import Truth, check_source, from_bundle, from_checkpoint
from retrieval.corpora.pairs import CaptionedPhoto
from retrieval.encode.torch import TorchEncoder
from retrieval.evaluate.latency import machine_name
from retrieval.models.checkpoint import Checkpoint
from retrieval.spec.bundle import Bundle, TowerFile, read_bundle
from retrieval.spec.defaults import TOLERANCE
from retrieval.spec.errors import EvaluationError

_SLACK = 2
"""How many times as far from the truth as here a file may be on another host."""

Tell = Callable[[str], None]
"""Called with what is being done."""


@dataclass(frozen=True)
class Verified:
    """What came of a verification; nothing is written yet.

    Attributes:
        bundle: The manifest, with new recommendations if they were asked for.
        verification: The figures.
        golden: A new golden file, if one was asked for.
    """

    bundle: Bundle
    verification: Verification
    golden: Golden | None = None


def verify(
    folder: Path,
    pairs: Sequence[CaptionedPhoto],
    *,
    checkpoint: Checkpoint | None = None,
    recommended: bool = False,
    golden: bool = False,
    tolerance: float = TOLERANCE,
    tell: Tell = lambda doing: None,
) -> Verified:
    """Run every file of a bundle that this machine can run and compare it with the truth.

    Args:
        folder: The bundle; not changed.
        pairs: Captioned photos to search, as `read_pairs` gives them.
        checkpoint: What the bundle was exported from: the best truth there is.
        recommended: Whether to choose the files that hosts should open.
        golden: Whether to make the golden file again, from the checkpoint.
        tolerance: Points of recall@10 that the files which a host opens may lose.
        tell: Told what is being done.

    Raises:
        BundleError: The bundle is damaged, or was not made from the checkpoint.
        EvaluationError: No photo can be decoded, a recommendation has no truth to rest on,
            or golden vectors are wanted without a checkpoint.
    """
    if golden and checkpoint is None:
        raise EvaluationError(
            "golden vectors come from PyTorch: name the checkpoint of the bundle with --checkpoint"
        )
    if recommended and checkpoint is None:
        require_truth(read_bundle(folder))
    tell(f"reading {len(pairs)} photos")
    with gathered(folder, pairs) as material:
        if checkpoint is not None:
            check_source(material, checkpoint)
        evidence = _evidence(material, checkpoint, tell)
        new = _new_golden(evidence, checkpoint, tolerance) if golden and checkpoint else None
        if new is not None:
            evidence = replace(evidence, golden=new)
        figures = {file: judge_file(evidence, file) for file in material.bundle.files}
        bundle, notes = material.bundle, []
        if recommended:
            tell("choosing what to recommend")
            choices = choose(evidence, figures, tolerance)
            bundle = with_choices(bundle, choices)
            notes = [
                f"{format}: no pair of files stays within {tolerance:g} points of recall@10"
                for format, choice in choices.items()
                if choice is None
            ]
        judged = judge_pairs(evidence, bundle, tolerance)
        located = _located(evidence, _recommended(figures, bundle), judged, checkpoint, tell)
        verification = Verification(
            truth=evidence.truth.source,
            tolerance=tolerance,
            photos=material.photos,
            captions=material.captions,
            unreadable=tuple(material.unreadable),
            machine=machine_name(),
            files=tuple(located),
            pairs=tuple(judged),
            notes=tuple(notes),
        )
        return Verified(bundle, verification, new)


def _evidence(material: Material, checkpoint: Checkpoint | None, tell: Tell) -> Evidence:
    outcomes = {}
    for file in material.bundle.files:
        tell(f"running {file.file}")
        outcomes[file] = run_file(material, file)
    tell("comparing")
    truth: Truth
    if checkpoint is None:
        truth = from_bundle(material, outcomes)
    else:
        truth = from_checkpoint(material, checkpoint)
    return Evidence(material, truth, outcomes, material.golden)


def _new_golden(evidence: Evidence, checkpoint: Checkpoint, tolerance: float) -> Golden:
    """Golden vectors from PyTorch, and tolerances that good files meet.

    A precision whose files lose no more recall than allowed may be further from the truth
    than usual; fp32 and fp16 may not.
    """
    made = make_golden(TorchEncoder(checkpoint))
    limits = dict(MIN_COSINE)
    for file in evidence.material.bundle.files:
        figures = judge_file(evidence, file)
        if file.precision in TARGETS or figures.golden_cosine is None or figures.loss is None:
            continue
        lost = figures.loss.worst_at_10
        if lost is not None and lost <= tolerance:
            needed = 1 - _SLACK * (1 - figures.golden_cosine)
            floor = math.floor(1000 * needed) / 1000
            limits[file.precision] = min(limits[file.precision], floor)
    return made.model_copy(update={"min_cosine": limits})


def _recommended(
    figures: dict[TowerFile, FileFigures], bundle: Bundle
) -> dict[TowerFile, FileFigures]:
    """The figures, with what a new manifest recommends."""
    marked = {file.file: file.recommended for file in bundle.files}
    return {
        file: one.model_copy(update={"recommended": marked[one.file]})
        for file, one in figures.items()
    }


def _located(
    evidence: Evidence,
    figures: dict[TowerFile, FileFigures],
    pairs: Sequence[PairFigures],
    checkpoint: Checkpoint | None,
    tell: Tell,
) -> list[FileFigures]:
    """The figures, with the layer where the error of each failed file or pair starts."""
    lossy = {
        (pair.format, tower, precision)
        for pair in pairs
        if pair.failures
        for tower, precision in (("image", pair.image), ("text", pair.text))
    }
    located = []
    for file, one in figures.items():
        short = one.failures or (file.format, file.tower, file.precision) in lossy
        if short and evidence.outcomes[file].vectors is not None:
            tell(f"looking for the error of {file.file}")
            row = evidence.worst_row(file)
            where = find_error(evidence.material, file, row, checkpoint)
            one = one.model_copy(update={"error_starts": where})
        located.append(one)
    return located
