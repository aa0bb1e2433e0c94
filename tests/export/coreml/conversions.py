"""Towers on their way to Core ML, with real-like inputs and what PyTorch makes of them."""

from typing import Any

import numpy as np
import torch

from export.targets.coreml import CoreMLTarget
from export.targets.coreml.target import TracedProgram
from export.targets.graphs import image_graph, text_graph
from export.targets.target import Conversion, Inputs
from export.verify import golden_inputs
from export.verify.golden import golden_pixels
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.normalise import PixelNormaliser
from retrieval.spec.tower import Tower
from tests.tiny import tiny_tokenizer

METADATA = {"name": "tiny", "fingerprint": "f00d", "licence": "CC0-1.0"}


def conversion(model: DualEncoder, tower: Tower) -> Conversion:
    """A tower with the golden photos, or the golden sentences, as its examples."""
    spec = model.config.preprocessing
    if tower == "image":
        graph: Any = image_graph(model)
        examples: Inputs = golden_pixels([jpeg for _, jpeg in golden_inputs.photos()], spec)
    else:
        graph, examples = text_graph(model), tiny_tokenizer().batch(golden_inputs.SENTENCES)
    return Conversion(model, tower, graph, examples, metadata=METADATA | {"tower": tower})


def traced(model: DualEncoder, tower: Tower) -> TracedProgram:
    """A tower, traced."""
    found = CoreMLTarget().trace(conversion(model, tower))
    assert isinstance(found, TracedProgram)
    return found


def truth(one: Conversion) -> Any:
    """What PyTorch makes of a conversion's examples, as training does: ``(batch, dim)``."""
    inputs = torch.from_numpy(np.array(one.examples))
    with torch.inference_mode():
        if one.tower == "text":
            return one.model.encode_text(inputs).numpy()
        return one.model.encode_image(PixelNormaliser(one.preprocessing)(inputs)).numpy()
