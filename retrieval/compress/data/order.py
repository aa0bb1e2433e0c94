"""Which item comes when: a function of seed and epoch alone, so that a run resumes exactly."""

import numpy as np
from numpy.typing import NDArray

Batches = list[list[int]]


def shuffled_batches(count: int, batch_size: int, *, seed: int, epoch: int) -> Batches:
    """Every index once per epoch in random order; a last, smaller batch is left out.

    A smaller batch would change the difficulty of in-batch contrast. When there are fewer
    items than one batch, all of them form it.
    """
    order = _generator(seed, epoch).permutation(count)
    full = max(1, count // batch_size)
    return [part.tolist() for part in np.array_split(order[: full * batch_size], full)]


def batches_by_length(
    lengths: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int, window: int = 64
) -> Batches:
    """Random batches of similarly long items, so that little padding is computed.

    Items are sorted only within windows of ``window`` batches, so neighbours still change
    from epoch to epoch.
    """
    count = len(lengths)
    generator = _generator(seed, epoch)
    order = generator.permutation(count)
    span = batch_size * window
    windows = [order[start : start + span] for start in range(0, count, span)]
    ordered = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in windows])
    full = max(1, count // batch_size)
    batches = [part.tolist() for part in np.array_split(ordered[: full * batch_size], full)]
    return [batches[index] for index in generator.permutation(len(batches))]


def item_seed(seed: int, epoch: int, index: int) -> int:
    """Seed of one item's random view in one epoch."""
    return (seed * 1_000_003 + epoch) * 10_000_019 + index


def _generator(seed: int, epoch: int) -> np.random.Generator:
    return np.random.default_rng([seed, epoch])
