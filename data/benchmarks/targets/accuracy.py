"""How near a model's files are to PyTorch, and what they retrieve, by ``export.verify``."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from export.verify.judge import Evidence, judge_file
from export.verify.material import Material, gathered
from export.verify.recommend import choose
from export.verify.run_file import Outcome, run_file
from export.verify.truth import Truth, from_checkpoint
from retrieval.corpora.pairs import CaptionedPhoto
from retrieval.models.checkpoint import Checkpoint
from retrieval.spec.bundle import Bundle, Format, TowerFile
from retrieval.spec.defaults import TOLERANCE
from retrieval.spec.files import replacing
from retrieval.spec.ways import WAYS

INT8 = ("int8", "int8-static", "mixed")
"""Precisions whose weights are int8, all or most of them."""

_CHANGES = dict(zip(("t2i_r10_change", "i2t_r10_change"), WAYS, strict=True))


@dataclass(frozen=True)
class Judge:
    """Compares files of one bundle with PyTorch.

    Attributes:
        material: What the files are given.
        truth: What PyTorch makes of it.
        vectors: Folder for what files made of it, so that none runs twice.
        retrieves: Whether recall is measured.
    """

    material: Material
    truth: Truth
    vectors: Path
    retrieves: bool

    def figures(self, file: TowerFile) -> dict[str, Any]:
        """Columns of a row: cosines on photos or sentences, changes of recall, and complaints."""
        outcome = self._outcome(file)
        evidence = self._evidence({file: outcome})
        judged = judge_file(evidence, file)
        complaints = [*judged.failures, *([judged.not_run] if judged.not_run else [])]
        found: dict[str, Any] = {"bytes": file.bytes, "reason": "; ".join(complaints)}
        if outcome.vectors is None:
            return found
        # Golden pictures are drawn; the table is of photos. Golden sentences are awkward ones.
        first = self.material.skipped["image"] if file.tower == "image" else 0
        cosines = evidence.cosines(file)[first:]
        found |= {"worst_cosine": cosines.min(), "median_cosine": np.median(cosines)}
        if self.retrieves and judged.loss is not None and judged.loss.points is not None:
            points = judged.loss.points
            found |= {name: 0.0 - points[way]["recall@10"] for name, way in _CHANGES.items()}
        return found

    def recommended(
        self, bundle: Bundle, precisions: Sequence[str] | None = None
    ) -> dict[Format, set[str]]:
        """The files of each format that ``leanclip export --recommend`` would choose.

        Args:
            bundle: All files that there are.
            precisions: Which may be chosen; None for all.
        """
        files = [f for f in bundle.files if precisions is None or f.precision in precisions]
        evidence = self._evidence({file: self._outcome(file) for file in files})
        figures = {file: judge_file(evidence, file) for file in files}
        choices = choose(evidence, figures, TOLERANCE)
        return {
            format: {file.file for file in choice} if choice else set()
            for format, choice in choices.items()
        }

    def _evidence(self, outcomes: dict[TowerFile, Outcome]) -> Evidence:
        return Evidence(self.material, self.truth, outcomes, self.material.golden)

    def _outcome(self, file: TowerFile) -> Outcome:
        kept = self.vectors / f"{file.sha256}.npy"
        if kept.is_file():
            return Outcome(vectors=np.load(kept))
        outcome = run_file(self.material, file)
        if outcome.vectors is not None:
            with replacing(kept) as temporary:
                np.save(temporary, outcome.vectors)
        return outcome


@contextmanager
def judging(
    folder: Path, source: Checkpoint, pairs: Sequence[CaptionedPhoto], *, retrieves: bool
) -> Iterator[Judge]:
    """Prepare inputs and run PyTorch on them.

    Args:
        folder: The bundle.
        source: What it was exported from.
        pairs: Captioned photos.
        retrieves: Whether recall is measured.

    Raises:
        BundleError: The bundle is damaged.
        EvaluationError: No photo can be decoded.
    """
    with gathered(folder, pairs) as material:
        truth = from_checkpoint(material, source)
        yield Judge(material, truth, folder.with_name(f"{folder.name}.vectors"), retrieves)


def not_square(pairs: Sequence[CaptionedPhoto]) -> list[CaptionedPhoto]:
    """Those whose photo has two different sides."""

    def differs(path: Path) -> bool:
        with Image.open(path) as photo:
            return photo.width != photo.height

    return [pair for pair in pairs if differs(pair.image)]
