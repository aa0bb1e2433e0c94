"""What a bundle's files are compared with: PyTorch, an fp32 file, or the golden vectors."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from export.verify.material import Material
from export.verify.run_file import Outcome
from retrieval.encode.protocol import Embeddings
from retrieval.encode.torch import MAX_BATCH, TorchEncoder
from retrieval.models.checkpoint import Checkpoint
from retrieval.spec.bundle import TowerFile
from retrieval.spec.errors import BundleError
from retrieval.spec.tower import TOWERS, Tower

PYTORCH = "PyTorch in float32"
FP32_FILE = "the bundle's fp32 ONNX files"
GOLDEN_VECTORS = "the golden vectors of the bundle"


@dataclass(frozen=True)
class Truth:
    """Expected embeddings.

    Attributes:
        source: Where they come from.
        vectors: By tower; of all inputs, or of the golden ones alone.
        whole: Whether they are of all inputs.
    """

    source: str
    vectors: dict[Tower, Embeddings]
    whole: bool


def check_source(material: Material, checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint that the bundle was not made from.

    Raises:
        BundleError: Their fingerprints differ.
    """
    if checkpoint.fingerprint != material.bundle.fingerprint:
        raise BundleError(
            f"{material.folder} was not exported from this checkpoint: its fingerprint is "
            f"{material.bundle.fingerprint[:8]}, the checkpoint's {checkpoint.fingerprint[:8]}"
        )


def from_checkpoint(material: Material, checkpoint: Checkpoint) -> Truth:
    """Embed all inputs in PyTorch.

    Raises:
        BundleError: The bundle was not made from this checkpoint.
    """
    check_source(material, checkpoint)
    encoder = TorchEncoder(checkpoint)
    pixels = material.rows("image")
    batches = [
        encoder.encode_pixels(np.array(pixels[start : start + MAX_BATCH], np.uint8))
        for start in range(0, len(pixels), MAX_BATCH)
    ]
    vectors: dict[Tower, Embeddings] = {
        "image": np.concatenate(batches),
        "text": encoder.encode_sentences(material.sentences),
    }
    return Truth(PYTORCH, vectors, whole=True)


def from_bundle(material: Material, outcomes: Mapping[TowerFile, Outcome]) -> Truth:
    """The fp32 ONNX files if both towers have one that runs, else the golden vectors."""
    found: dict[Tower, Embeddings] = {
        file.tower: outcome.vectors
        for file, outcome in outcomes.items()
        if (file.format, file.precision) == ("onnx", "fp32") and outcome.vectors is not None
    }
    if len(found) == len(TOWERS):
        return Truth(FP32_FILE, found, whole=True)
    golden = material.golden
    photos = [photo.embedding for photo in golden.photos] + [golden.pattern.embedding]
    sentences = [sentence.embedding for sentence in golden.sentences]
    expected: dict[Tower, Embeddings] = {
        "image": np.array(photos, np.float32),
        "text": np.array(sentences, np.float32),
    }
    return Truth(GOLDEN_VECTORS, expected, whole=False)
