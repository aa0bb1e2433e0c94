"""Whether a converted tower still computes what PyTorch computes."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from export.targets.graphs import Graph, exportable
from retrieval.encode.sessions import open_session
from retrieval.spec.errors import ExportError

LARGEST_DIFFERENCE = 1e-4
SMALLEST_COSINE = 0.99999


class Agreement(NamedTuple):
    """How far two sets of embeddings are apart, at worst."""

    max_difference: float
    min_cosine: float


def reference(graph: Graph, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
    """What PyTorch makes of the inputs in float32; ``(batch, dim)``."""
    with exportable(graph):
        embeddings: NDArray[np.float32] = graph(torch.from_numpy(inputs)).numpy()
    return embeddings


def run_rows(model: bytes, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
    """What ONNX Runtime makes of the inputs, one by one as a phone would; ``(batch, dim)``."""
    running = open_session(model)
    name = running.get_inputs()[0].name
    return np.concatenate([running.run(None, {name: row[None]})[0] for row in inputs])


def run_batch(model: bytes, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
    """What ONNX Runtime makes of the inputs in one batch; ``(batch, dim)``."""
    running = open_session(model)
    embeddings: NDArray[np.float32] = running.run(None, {running.get_inputs()[0].name: inputs})[0]
    return embeddings


def agreement(expected: NDArray[np.float32], found: NDArray[np.float32]) -> Agreement:
    """Compare embeddings ``(batch, dim)``; NaN anywhere counts as the opposite direction."""
    if not np.isfinite(found).all():
        return Agreement(float("inf"), -1.0)
    lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    cosines = (expected * found).sum(axis=1) / np.maximum(lengths, 1e-12)
    return Agreement(float(np.abs(expected - found).max()), float(cosines.min()))


def check_exact(name: str, *found: Agreement) -> Agreement:
    """The worst of several agreements of an fp32 conversion.

    Raises:
        ExportError: It is worse than rounding can explain.
    """
    worst = Agreement(max(a.max_difference for a in found), min(a.min_cosine for a in found))
    if worst.max_difference > LARGEST_DIFFERENCE or worst.min_cosine < SMALLEST_COSINE:
        raise ExportError(
            f"{name} does not compute what PyTorch does: largest difference "
            f"{worst.max_difference:.2g} (limit {LARGEST_DIFFERENCE:g}), smallest cosine "
            f"{worst.min_cosine:.6f} (limit {SMALLEST_COSINE})"
        )
    return worst
