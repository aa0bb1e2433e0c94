"""The same decisions on every process of a distributed run."""

from collections.abc import Mapping

import torch
from torch import Tensor, distributed


def averaged(scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Scores averaged over all processes; as they are when there is one."""
    if not _several():
        return dict(scores)
    result = {name: score.detach().clone() for name, score in scores.items()}
    for score in result.values():
        distributed.all_reduce(score)
        score /= distributed.get_world_size()
    return result


def agreed(value: float, device: torch.device) -> float:
    """The first process's value, so that no two decide on measurements of their own.

    Args:
        value: What this process found.
        device: One that the processes can talk through.
    """
    if not _several():
        return value
    shared = torch.tensor([value], dtype=torch.float64, device=device)
    distributed.broadcast(shared, src=0)
    return float(shared.item())


def _several() -> bool:
    return (
        distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    )
