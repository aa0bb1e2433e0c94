"""Matrices in 4 bits that were not trained for it: blocks of 32 neighbours share a scale.

Each block takes the scale, among a few below the usual one, with which its squared error is
least: cutting the greatest weight a little makes the steps finer for all others.
"""

import numpy as np
import onnx
from numpy.typing import NDArray

from export.quantize.storage import float_weights, product_weights
from export.quantize.trained import TrainedWeight
from retrieval.spec.quantisation import Grid

BLOCK = 32
_LARGEST, _LEAST = 7, -8
_CUTS = np.linspace(0.7, 1.0, 13, dtype=np.float32)


def four_bits(model: onnx.ModelProto) -> dict[str, TrainedWeight]:
    """The matrices of a traced graph, rounded to 4 bits, by name of the initialiser.

    Those that activations are multiplied with and whose inputs fill whole blocks. Token
    embeddings and the last projection (``Gemm``) are not among them: their rounding would go
    straight into the embedding.
    """
    names = product_weights(model)
    found = {}
    for tensor, values in float_weights(model):
        if tensor.name not in names or len(values) % BLOCK:
            continue
        # Graphs hold matrices as (inputs, outputs).
        codes, scales = round_blocks(values.T.reshape(-1, BLOCK))
        grid = Grid(kind="int4", group=BLOCK)
        found[tensor.name] = TrainedWeight(
            tensor.name, grid, codes, scales, values.T.shape, transposed=True, dynamic=False
        )
    return found


def round_blocks(
    blocks: NDArray[np.float32],
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes ``(blocks, 32)`` from -8 to 7 and scales ``(blocks, 1)`` that float16 can hold."""
    largest = np.abs(blocks).max(axis=1, keepdims=True)
    best = np.full((len(blocks), 1), np.inf, np.float32)
    codes, scales = np.zeros(blocks.shape, np.int8), np.ones_like(largest)
    for cut in _CUTS:
        scale = (largest * cut / _LARGEST).astype(np.float16).astype(np.float32)
        scale[scale == 0] = 1
        rounded = np.clip(np.round(blocks / scale), _LEAST, _LARGEST)
        error = np.square(rounded * scale - blocks).sum(axis=1, keepdims=True)
        better = error < best
        best = np.where(better, error, best)
        codes = np.where(better, rounded.astype(np.int8), codes)
        scales = np.where(better, scale, scales)
    return codes, scales
