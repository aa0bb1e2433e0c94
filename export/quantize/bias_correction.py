"""Biases that take back what rounding shifts.

Rounded weights and activations do not only add noise: each channel's mean output moves, and
from layer to layer the shifts grow, most of all through depthwise convolutions. The mean shift
over a few photos is subtracted from the bias, layer by layer in the order of computation, so
that each layer is measured after those before it have been mended (Nagel et al., "Data-Free
Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section 4.2, measured
on inputs instead of derived from batch norm).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

PHOTOS = 32
"""Photos that shifts are measured on."""


def mended(
    bias: NDArray[np.int32],
    scales: NDArray[np.floating[Any]],
    *,
    wanted: NDArray[np.float64],
    found: NDArray[np.float64],
) -> NDArray[np.int32]:
    """An integer bias ``(channels,)`` that takes back the shift of its layer.

    Args:
        bias: As rounded.
        scales: What one step of the bias stands for, for each channel or for all.
        wanted: Mean output of each channel in float.
        found: The same of the rounded layer.
    """
    steps = np.rint((wanted - found) / scales)
    return bias + steps.astype(np.int32)
