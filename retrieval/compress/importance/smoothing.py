"""PLATON's smoothing of per-step scores: sensitivity times uncertainty."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from retrieval.compress.importance.importance import Criterion, Importance
from retrieval.compress.importance.tally import Tally, on_devices, unseen
from retrieval.models.surgery.units import Group

Beta2 = Annotated[float, Field(ge=0, le=1)]


class SmoothedCriterion(Criterion):
    """Settings that PLATON and PINS share."""

    window: Annotated[int, Field(ge=1)] = 10
    """Steps whose scores are averaged before they count."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.85
    """How slowly the sensitivity follows the window means."""
    beta2: Beta2 = 0.95
    """How slowly the uncertainty follows the deviations; 1 leaves the uncertainty out."""


class Smoothing:
    """Zhang et al., ICML 2022 (PLATON), on units instead of weights.

    With I the mean of a window of steps, at the window's end::

        sensitivity <- beta1 * sensitivity + (1 - beta1) * I
        uncertainty <- beta2 * uncertainty + (1 - beta2) * |I - sensitivity|
        score        = sensitivity * uncertainty

    where the second line uses the sensitivity of the first. Both start at zero.
    """

    def __init__(self, settings: SmoothedCriterion) -> None:
        self.settings = settings
        self.window = Tally()
        self.sensitivity: dict[str, Tensor] = {}
        self.uncertainty: dict[str, Tensor] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Take one step's scores, not negative, ``(units,)`` by group."""
        self.window.add(values)
        if self.window.count == self.settings.window:
            self._close_window()

    def _close_window(self) -> None:
        beta1, beta2 = self.settings.beta1, self.settings.beta2
        for name, mean in self.window.mean().items():
            zero = torch.zeros_like(mean)
            sensitivity = beta1 * self.sensitivity.get(name, zero) + (1 - beta1) * mean
            deviation = (mean - sensitivity).abs()
            self.sensitivity[name] = sensitivity
            self.uncertainty[name] = (
                beta2 * self.uncertainty.get(name, zero) + (1 - beta2) * deviation
            )
        self.window = Tally()

    def scores(self) -> dict[str, Tensor]:
        """``(units,)`` by group; before the end of the first window, its mean so far.

        Raises:
            TrainingError: There was no step yet.
        """
        if not self.sensitivity:
            if self.window.count == 0:
                raise unseen()
            return self.window.mean()
        if self.settings.beta2 == 1:
            return {name: value.clone() for name, value in self.sensitivity.items()}
        return {name: value * self.uncertainty[name] for name, value in self.sensitivity.items()}

    def state_dict(self) -> dict[str, Any]:
        """The open window and both averages."""
        return {
            "window": self.window.state_dict(),
            "sensitivity": dict(self.sensitivity),
            "uncertainty": dict(self.uncertainty),
        }

    def load_state_dict(self, state: Mapping[str, Any], groups: tuple[Group, ...]) -> None:
        """Take back what `state_dict` gave, on the devices of the groups."""
        self.window.load_state_dict(state["window"], groups)
        self.sensitivity = on_devices(state["sensitivity"], groups)
        self.uncertainty = on_devices(state["uncertainty"], groups)


class Smoothed(Importance):
    """An importance with PLATON's smoothing; a subclass adds per-step scores in its hooks."""

    def __init__(self, groups: Sequence[Group], settings: SmoothedCriterion) -> None:
        super().__init__(groups)
        self.smoothing = Smoothing(settings)

    def scores(self) -> dict[str, Tensor]:
        return self.smoothing.scores()

    def state_dict(self) -> dict[str, Any]:
        return self.smoothing.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.smoothing.load_state_dict(state, self.groups)
