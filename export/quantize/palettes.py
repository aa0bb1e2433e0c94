"""Palettes: a few values that stand for all of a tensor's, found by k-means in one dimension.

coremltools finds them with scikit-learn, whose answer is wrong where a tensor has fewer
different values than the palette has places, as weights that were trained on a grid have.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZES = (1, 2, 4, 6, 8)
"""Bits that one place may have."""

_ROUNDS = 100
"""Lloyd's iterations in a row, at most."""

Floats = NDArray[np.float64]


def palette(
    values: NDArray[np.floating[Any]], bits: int
) -> tuple[NDArray[np.floating[Any]], NDArray[np.uint8]]:
    """The palette of a tensor, and each value's place in it.

    A tensor with no more different values than places keeps them exactly, in a smaller
    palette if one has room for all.

    Args:
        values: Any shape.
        bits: One of `SIZES`; the palette has two to this power places at most.

    Returns:
        The palette in the type of ``values``, its unused places zero; and places,
        one-dimensional.
    """
    found, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    smaller = [size for size in SIZES if size <= bits and len(found) <= 2**size]
    entries = np.zeros(2 ** min([*smaller, bits]), values.dtype)
    if smaller:
        entries[: len(found)] = found
        return entries, inverse.ravel().astype(np.uint8)
    clustering = _Clustering(found.astype(np.float64), counts)
    centres = clustering.centres(len(entries))
    entries[:] = centres
    nearest = np.searchsorted(_borders(centres), clustering.values)
    return entries, nearest.astype(np.uint8)[inverse.ravel()]


class _Clustering:
    """k-means of sorted values, where a cluster is a range: all sums are differences.

    Args:
        values: Ascending, all different.
        counts: How often each occurs.
    """

    def __init__(self, values: Floats, counts: NDArray[np.int64]) -> None:
        self.values = values
        self.counts = counts
        self._number = np.concatenate([[0.0], np.cumsum(counts)])
        self._total = np.concatenate([[0.0], np.cumsum(counts * values)])

    def centres(self, places: int) -> Floats:
        """Centres, ascending, that no exchange of a merge for a split makes better."""
        best = self._settled(self._start(places))
        while (other := self._exchanged(best)) is not None:
            other = self._settled(other)
            if self._explained(other) <= self._explained(best):
                break
            best = other
        return best

    def _start(self, places: int) -> Floats:
        """Centres at equal steps of the integral of the cube root of the density.

        So the best places of a fine palette lie (Panter and Dite, 1951, "Quantization
        distortion in pulse-count modulation"). The density at a value is its count over half
        the distance between its neighbours.
        """
        width = np.gradient(self.values)
        integral = np.cumsum(np.cbrt(self.counts / width) * width)
        steps = (np.arange(places) + 0.5) / places * integral[-1]
        start: Floats = np.interp(steps, integral, self.values)
        return start

    def _settled(self, centres: Floats) -> Floats:
        """Lloyd's algorithm: each centre to the mean of what is nearest to it."""
        for _ in range(_ROUNDS):
            number, total = self._sums(_borders(centres))
            # A centre that is nearest to nothing stays where it is.
            moved = np.where(number > 0, total / np.maximum(number, 1), centres)
            if np.array_equal(moved, centres):
                break
            centres = moved
        return centres

    def _exchanged(self, centres: Floats) -> Floats | None:
        """Merge the two clusters that cost the least, split the one that gains the most.

        None if that would gain nothing.
        """
        # Every border and every centre cuts: halves of clusters, two by two.
        cuts = np.sort(np.concatenate([centres, _borders(centres)]))
        number, total = self._sums(cuts)
        halves = total / np.maximum(number, 1)
        gains = _apart(number[::2], number[1::2], halves[::2], halves[1::2])
        whole = number[::2] + number[1::2]
        costs = _apart(whole[:-1], whole[1:], centres[:-1], centres[1:])
        merged = int(costs.argmin())
        gains[merged : merged + 2] = 0
        split = int(gains.argmax())
        if gains[split] <= costs[merged]:
            return None
        pair = slice(merged, merged + 2)
        middle = np.average(centres[pair], weights=whole[pair] + 1e-9)
        kept = np.delete(centres, [merged, merged + 1, split])
        new = [middle, halves[2 * split], halves[2 * split + 1]]
        return np.sort(np.concatenate([kept, new]))

    def _explained(self, centres: Floats) -> float:
        """The larger, the smaller is the sum of squared errors; the two differ by a constant."""
        number, total = self._sums(_borders(centres))
        return float((np.square(total) / np.maximum(number, 1)).sum())

    def _sums(self, cuts: Floats) -> tuple[Floats, Floats]:
        """How many values lie between cuts, and what they add up to."""
        places = np.searchsorted(self.values, cuts)
        places = np.concatenate([[0], places, [len(self.values)]])
        return np.diff(self._number[places]), np.diff(self._total[places])


def _apart(first: Floats, second: Floats, mean: Floats, other: Floats) -> Floats:
    """By how much two clusters have less squared error than one of both."""
    gain: Floats = first * second / np.maximum(first + second, 1) * np.square(mean - other)
    return gain


def _borders(centres: Floats) -> Floats:
    middles: Floats = (centres[1:] + centres[:-1]) / 2
    return middles
