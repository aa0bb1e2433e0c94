"""Embedding regression: the best single loss in CLIP-KD (feature distillation)."""

from torch import Tensor


def embedding_regression(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance of length-one embeddings ``(batch, dim)``, averaged over the batch.

    The distance is summed over dimensions, so it lies between 0 and 4 and equals
    ``2 - 2 cosine``: its weight means the same for every embedding size.
    """
    return (student - teacher).square().sum(dim=1).mean()
