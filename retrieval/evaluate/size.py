"""Parameters and bytes of a model on disk, read without loading it."""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from retrieval.spec.bundle import MANIFEST, read_bundle
from retrieval.spec.errors import CheckpointError

_WEIGHTS = "model.safetensors"
_PACKED = "leanclip"
"""The entry of the metadata that describes packed tensors."""
_LARGEST_HEADER = 100_000_000
"""The limit that safetensors itself sets, in bytes."""
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Ends of names that hold what batch normalisation has counted, not parameters."""


@dataclass(frozen=True, slots=True)
class ModelSize:
    """How large a model is."""

    parameters: int | None
    """Zeros included. None when the bundle does not say; then it was made by an older leanclip."""
    bytes: int
    """Both towers as they lie on disk; for a bundle, the smallest ONNX file of each."""
    nonzeros: int | None = None
    """Parameters that are not zero; None when they were not counted, as in a plain file."""

    @property
    def megabytes(self) -> float:
        """Millions of bytes."""
        return self.bytes / 1e6


def measure_size(folder: Path) -> ModelSize:
    """Size of a bundle or of a checkpoint folder.

    Raises:
        BundleError: The bundle is damaged.
        CheckpointError: The folder is neither, or its weights are damaged.
    """
    if (folder / MANIFEST).is_file():
        bundle = read_bundle(folder)
        parameters = bundle.provenance.get("parameters")
        return ModelSize(
            parameters=parameters if isinstance(parameters, int) else None,
            bytes=sum(bundle.file(tower, "onnx").bytes for tower in ("image", "text")),
        )
    weights = folder / _WEIGHTS
    if not weights.is_file():
        raise CheckpointError(f"{folder} is neither a bundle nor a checkpoint")
    parameters, nonzeros = _count_parameters(weights)
    return ModelSize(parameters, weights.stat().st_size, nonzeros)


def _count_parameters(weights: Path) -> tuple[int, int | None]:
    """Sums over the header of a safetensors file: 8 bytes of length, then JSON.

    The header of a file with packed tensors says of each what it unpacks to.
    """
    try:
        with weights.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > _LARGEST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(stream.read(length))
        metadata = header.pop("__metadata__", {})
        packed = _PACKED in metadata
        tensors = json.loads(metadata[_PACKED])["tensors"] if packed else header
        counted = [one for name, one in tensors.items() if not name.endswith(_STATISTICS)]
        parameters = sum(math.prod(tensor["shape"]) for tensor in counted)
        return parameters, sum(tensor["nonzeros"] for tensor in counted) if packed else None
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{weights} is damaged ({error}); copy or train it again") from error
