"""From scores to the units that stay."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from retrieval.models.surgery.units import Group
from retrieval.spec.errors import TrainingError

Scope = Literal["global", "layer"]
Normalise = Literal["none", "group", "parameters"]

Keep = dict[str, Tensor]
"""For each group by name, which units stay, boolean ``(units,)``."""


@dataclass(frozen=True)
class Ranking:
    """All units of some groups in the order in which they go.

    Attributes:
        groups: What is ranked.
        order: For each unit, the first to go first, the number of its group, ``(units,)``.
        best: For each group its own units, the last to go first, ``(units of it,)``.
    """

    groups: tuple[Group, ...]
    order: Tensor
    best: tuple[Tensor, ...]

    def keep(self, dropped: int) -> Keep:
        """What stays when the first ``dropped`` units go.

        Each group keeps at least its ``least``, and its count is rounded up to its
        ``multiple``, so a few units that should go may stay; never the other way round.
        More dropped is never a unit more kept.
        """
        gone = torch.bincount(self.order[:dropped], minlength=len(self.groups)).tolist()
        keep: Keep = {}
        for group, best, lost in zip(self.groups, self.best, gone, strict=True):
            count = max(group.units - lost, group.least)
            count = min(-(-count // group.multiple) * group.multiple, group.units)
            mask = torch.zeros(group.units, dtype=torch.bool)
            mask[best[:count]] = True
            keep[group.name] = mask
        return keep


def rank(
    groups: Sequence[Group],
    scores: Mapping[str, Tensor],
    *,
    scope: Scope = "global",
    normalise: Normalise = "none",
) -> Ranking:
    """Order units by their scores.

    Args:
        groups: Whose units.
        scores: For each group by name, ``(units,)``; the higher, the longer a unit stays.
            Of equal scores the unit of the lower index in the earlier group stays longer.
        scope: ``global``: all compete; ``layer``: every group loses the same share.
        normalise: What makes the scores of different groups comparable: nothing, the root
            mean square of each group (as CAP, AAAI 2022, up to the group's size), or the
            parameters that a unit takes with it, which prefers to drop large units of little
            use. Without effect within a group whose units are of one size.

    Raises:
        TrainingError: A score is not finite.
    """
    keys, best, of_group = [], [], []
    for number, group in enumerate(groups):
        own = _comparable(group, scores[group.name], normalise)
        ordered = own.argsort(descending=True, stable=True)
        if scope == "layer":
            own = torch.empty(group.units, dtype=torch.float64)
            places = torch.arange(group.units, dtype=torch.float64)
            own[ordered] = -(places + 0.5) / group.units
        keys.append(own)
        best.append(ordered)
        of_group.append(torch.full((group.units,), number))
    order = torch.cat(keys).argsort(descending=True, stable=True).flip(0)
    return Ranking(tuple(groups), torch.cat(of_group)[order], tuple(best))


def keep_weights(
    groups: Sequence[Group],
    scores: Mapping[str, Tensor],
    share: float,
    *,
    scope: Scope = "global",
) -> Keep:
    """Which single weights stay, by one threshold over all or one for each group.

    Args:
        groups: Of granularity ``weight``.
        scores: For each group by name, ``(weights,)``.
        share: Of the weights that stay: ``floor(n * (1 - share))`` go, as in PLATON, except
            that each group keeps at least its ``least``. Of equal scores the lower index in
            the earlier group stays.
        scope: Whether weights of different groups compete.

    Raises:
        TrainingError: A score is not finite.
    """
    for group in groups:
        _require_finite(group, scores[group.name])
    if scope == "layer":
        return {group.name: _highest(group, scores[group.name], share) for group in groups}
    sizes = [group.units for group in groups]
    everything = torch.cat([scores[group.name].flatten() for group in groups])
    keep = {
        group.name: mask
        for group, mask in zip(groups, _above(everything, share).split(sizes), strict=True)
    }
    for group in groups:
        if keep[group.name].sum() < group.least:
            keep[group.name] = _highest(group, scores[group.name], 0.0)
    return keep


def indices(keep: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Masks as ascending indices, which is how `shrink` wants them."""
    return {name: mask.nonzero().flatten().cpu() for name, mask in keep.items()}


def _comparable(group: Group, scores: Tensor, normalise: Normalise) -> Tensor:
    _require_finite(group, scores)
    own = scores.detach().cpu().double()
    if normalise == "group":
        return own / own.square().mean().sqrt().clamp(min=torch.finfo(own.dtype).tiny)
    if normalise == "parameters":
        sizes = group.reduce(lambda member: torch.ones_like(member.parameter))
        return own / sizes.cpu().double()
    return own


def _require_finite(group: Group, scores: Tensor) -> None:
    if not torch.isfinite(scores).all():
        raise TrainingError(
            f"the scores of {group.name} are not finite; lower training.learning_rate"
        )


def _highest(group: Group, scores: Tensor, share: float) -> Tensor:
    scores = scores.flatten()
    return _above(scores, max(share, group.least / group.units))


def _above(scores: Tensor, share: float) -> Tensor:
    """Mask of the highest share of scores, ``(n,)``; exact in the presence of equal ones."""
    # Shares such as 1 - 0.6 are a little off; a weight more or less would follow from that.
    gone = int(scores.numel() * (1 - share) + 1e-6)
    if gone == 0:
        return torch.ones_like(scores, dtype=torch.bool)
    if gone >= scores.numel():
        return torch.zeros_like(scores, dtype=torch.bool)
    threshold = _kth(scores, gone)
    keep = scores > threshold
    tied = (scores == threshold).nonzero().flatten()
    keep[tied[: scores.numel() - gone - int(keep.sum())]] = True
    return keep


def _kth(scores: Tensor, k: int) -> float:
    """The k-th smallest of scores, ``(n,)``; k counts from 1."""
    if scores.device.type != "cpu":
        return scores.kthvalue(k).values.item()
    # Ten times faster than torch's on tens of millions of weights.
    return float(np.partition(scores.detach().numpy(), k - 1)[k - 1])
