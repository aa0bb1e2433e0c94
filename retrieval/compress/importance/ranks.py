"""The same scores in every process of a run."""

from collections.abc import Iterable

import torch.distributed as distributed
from torch import Tensor


def average_over_ranks(values: Iterable[Tensor]) -> None:
    """Replace tensors by their mean over all processes; in place, alone it does nothing.

    For what hooks see of one process's part of a batch; gradients of the model's parameters
    are averaged already.
    """
    if distributed.is_available() and distributed.is_initialized():
        for one in values:
            distributed.all_reduce(one)
            one /= distributed.get_world_size()
