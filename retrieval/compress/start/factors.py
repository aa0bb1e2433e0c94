"""The matrix of one linear for another, which may store it as two factors."""

import torch

from retrieval.models.low_rank import Linear, LowRankLinear, output_side, whole_weight


@torch.no_grad()
def copy_linear(target: Linear, source: Linear) -> None:
    """Copy weight and bias; a target of a rank gets the nearest matrix of that rank.

    Args:
        target: Of the same features as ``source``; either may be stored as two factors.
        source: Not changed.
    """
    output_side(target).bias.copy_(output_side(source).bias)
    if not isinstance(target, LowRankLinear):
        target.weight.copy_(whole_weight(source))
        return
    left, values, right = torch.linalg.svd(whole_weight(source), full_matrices=False)
    rank = min(target.reduce.out_features, len(values))
    # Half of each singular value on either side: both factors then learn at the same pace.
    root = values[:rank].sqrt()
    target.reduce.weight.zero_()[:rank] = root[:, None] * right[:rank]
    target.expand.weight.zero_()[:, :rank] = left[:, :rank] * root
