"""Milliseconds of shapes that were not measured, from those of shapes that were."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_RIDGES = 10.0 ** np.arange(-8, 3)
_LEAST = 1e-6


@dataclass(frozen=True, eq=False)
class Predictor:
    """A linear law of latency: a constant and a price for each feature.

    The time of a network is the sum of the times of its operations, so it is linear in their
    numbers of multiplications and of activations. Relative errors are what counts, as in a
    regression on logarithms, so every measurement is weighted by its inverse; the ridge is
    the one with the smallest leave-one-out error.
    """

    weights: Floats
    mean: Floats
    scale: Floats

    def __call__(self, features: Floats) -> Floats:
        """Milliseconds, ``(shapes,)``, of features ``(shapes, features)``."""
        standard = (np.atleast_2d(features) - self.mean) / self.scale
        found = self.weights[0] + standard @ self.weights[1:]
        return np.asarray(np.maximum(found, _LEAST), dtype=np.float64)


@dataclass(frozen=True)
class Accuracy:
    """Relative errors on shapes that the predictor was not fitted to."""

    median: float
    worst: float
    shapes: int


def fit_predictor(features: Floats, milliseconds: Sequence[float]) -> Predictor:
    """Fit a predictor.

    Args:
        features: ``(shapes, features)``.
        milliseconds: Measured, ``(shapes,)``, above zero.
    """
    times = np.asarray(milliseconds, dtype=np.float64)
    mean = np.asarray(features.mean(axis=0), dtype=np.float64)
    deviation = np.asarray(features.std(axis=0), dtype=np.float64)
    scale = np.where(deviation > 0, deviation, 1.0)
    inputs = np.column_stack([np.ones(len(times)), (features - mean) / scale]) / times[:, None]
    best = min(_RIDGES.tolist(), key=lambda ridge: _left_out(inputs, ridge))
    return Predictor(_solved(inputs, best), mean, scale)


def judge_predictor(
    features: Floats, milliseconds: Sequence[float], held_out: Sequence[int]
) -> Accuracy:
    """Errors on the shapes numbered in ``held_out`` of a fit to all the others."""
    times = np.asarray(milliseconds, dtype=np.float64)
    seen = np.setdiff1d(np.arange(len(times)), held_out)
    predicted = fit_predictor(features[seen], times[seen].tolist())(features[list(held_out)])
    errors = np.abs(predicted / times[list(held_out)] - 1)
    return Accuracy(float(np.median(errors)), float(errors.max()), len(errors))


def _solved(inputs: Floats, ridge: float) -> Floats:
    penalised = inputs.T @ inputs + _penalty(inputs, ridge)
    found = np.linalg.solve(penalised, inputs.T @ np.ones(len(inputs)))
    return np.asarray(found, dtype=np.float64)


def _left_out(inputs: Floats, ridge: float) -> float:
    """Mean squared relative error at each measurement of the fit to all others (PRESS)."""
    inverse = np.linalg.inv(inputs.T @ inputs + _penalty(inputs, ridge))
    residual = 1 - inputs @ _solved(inputs, ridge)
    leverage = np.einsum("ij,jk,ik->i", inputs, inverse, inputs)
    return float(np.mean((residual / np.maximum(1 - leverage, 1e-9)) ** 2))


def _penalty(inputs: Floats, ridge: float) -> Floats:
    """A ridge in units of the data; the constant is free but for rounding."""
    penalty = np.full(inputs.shape[1], ridge * np.square(inputs[:, 0]).sum())
    penalty[0] *= 1e-6
    return np.diag(penalty)
