"""Photos whose pixels depend on their neighbours, as those of real photos do."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray


def smooth_photos(count: int, size: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Soft shapes in colour, uint8 RGB ``(count, 3, size, size)``.

    Activations have the ranges that calibration would find; noise would flatten them.
    """
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.uniform(0, 256, (count, 3, 4, 4)))
    pixels: NDArray[np.uint8] = (
        F.interpolate(coarse, size, mode="bicubic").clamp(0, 255).byte().numpy()
    )
    return pixels
