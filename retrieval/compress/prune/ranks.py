"""The same decisions on every process of a distributed run."""

from collections.abc import Mapping

import torch
from torch import Tensor, distributed

from retrieval.compress.importance.ranks import average_over_ranks


def averaged(scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Scores averaged over all processes, which makes the same selection of them."""
    result = {name: score.detach().clone() for name, score in scores.items()}
    average_over_ranks(result.values())
    return result


def agreed(value: float, device: torch.device) -> float:
    """The first process's value, so that no two decide on measurements of their own.

    Args:
        value: What this process found.
        device: One that the processes can talk through.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    shared = torch.tensor([value], dtype=torch.float64, device=device)
    distributed.broadcast(shared, src=0)
    return float(shared.item())
