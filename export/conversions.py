"""A checkpoint's towers on their way into files: graphs, real inputs and what files say."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from export.quantize.calibration import Calibration
from export.targets.graphs import image_graph, text_graph
from export.targets.target import Conversion
from export.verify import golden_inputs
from export.verify.golden import golden_pixels
from retrieval.models.checkpoint import Checkpoint
from retrieval.spec.tower import Tower


def conversions(
    source: Checkpoint,
    towers: Collection[Tower],
    *,
    licence: str,
    calibration: Calibration | None = None,
) -> dict[Tower, Conversion]:
    """Towers with the golden inputs as examples.

    Args:
        source: A loaded checkpoint.
        towers: Which of its towers.
        licence: Terms of the weights, for the files.
        calibration: More inputs, for precisions that need them.
    """
    metadata = {
        "name": source.config.name,
        "fingerprint": source.fingerprint,
        "licence": licence,
    }
    return {
        tower: Conversion(
            model=source.model,
            tower=tower,
            graph=image_graph(source.model) if tower == "image" else text_graph(source.model),
            examples=_examples(source, tower),
            calibration=calibration.of(tower) if calibration is not None else None,
            metadata=metadata | {"tower": tower},
        )
        for tower in towers
    }


def _examples(source: Checkpoint, tower: Tower) -> NDArray[np.generic]:
    if tower == "text":
        return source.tokenizer.batch(golden_inputs.SENTENCES)
    jpegs = [jpeg for _, jpeg in golden_inputs.photos()]
    return golden_pixels(jpegs, source.config.preprocessing)
