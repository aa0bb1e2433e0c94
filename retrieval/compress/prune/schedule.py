"""When pruning cuts, and how much of the whole cut is due at each step."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from retrieval.compress.loop.settings import Fraction
from retrieval.spec.base import Spec


class OneShot(Spec):
    """One cut, after scores were gathered; what goes never comes back."""

    kind: Literal["one_shot"] = "one_shot"
    at: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the steps after which the cut is made; 0: before the first."""
    calibration: Annotated[int, Field(ge=0)] = 16
    """Batches whose gradients score the units before the first step; weights do not move.
    0 is enough for scores that look at weights alone, or that are gathered until ``at``."""

    def remaining(self, done: int, total: int) -> float:
        """Share of the units to be cut that is still there after ``done`` of ``total`` steps."""
        return 0.0 if done >= self._cut(total) else 1.0

    def chooses(self, done: int, total: int) -> bool:
        """Whether units are chosen anew after ``done`` steps."""
        return done == self._cut(total)

    def holds(self, done: int, total: int) -> bool:
        """Whether units that were chosen to go are silenced again after ``done`` steps."""
        return done > self._cut(total)

    def last_choice(self, total: int) -> int:
        """Steps after which nothing is chosen any more."""
        return self._cut(total)

    def _cut(self, total: int) -> int:
        return min(round(self.at * total), total - 1)


class Iterative(Spec):
    """Several equal cuts at equal distances, with training in between."""

    kind: Literal["iterative"] = "iterative"
    cuts: Annotated[int, Field(ge=2)] = 4
    first: Fraction = 0.1
    """Share of the steps at which the first cut is made."""
    last: Fraction = 0.7
    """Share of the steps at which the last cut is made."""
    calibration: Annotated[int, Field(ge=0)] = 0
    """As in `OneShot`."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.first < self.last < 1:
            raise ValueError("first must be before last, and last before 1, the end")
        return self

    def remaining(self, done: int, total: int) -> float:
        """As in `OneShot`; a straight staircase."""
        made = sum(done >= cut for cut in self._cuts(total))
        return 1 - made / self.cuts

    def chooses(self, done: int, total: int) -> bool:
        """As in `OneShot`."""
        return done in self._cuts(total)

    def holds(self, done: int, total: int) -> bool:
        """As in `OneShot`: between the cuts, what is gone stays gone."""
        return done > self._cuts(total)[0] and not self.chooses(done, total)

    def last_choice(self, total: int) -> int:
        """As in `OneShot`."""
        return self._cuts(total)[-1]

    def _cuts(self, total: int) -> list[int]:
        span = self.last - self.first
        shares = (self.first + span * number / (self.cuts - 1) for number in range(self.cuts))
        return [min(max(1, round(share * total)), total) for share in shares]


class Cubic(Spec):
    """Fast at first and ever slower; units come back if their scores recover.

    Zhu & Gupta, 2017, with the holds of PLATON (Zhang et al., ICML 2022): with ``t_i`` steps
    of warm-up, ``t_f`` of cool-down and ``T`` in all, ``(1 - (t - t_i) / (T - t_i - t_f))**3``
    of the cut remains after step t. Between two choices nothing is silenced, so that
    gradients can bring units back; in the cool-down every step chooses.
    """

    kind: Literal["cubic"] = "cubic"
    warm_up: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps before anything is cut."""
    cool_down: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of the steps after the whole cut is made."""
    every: Annotated[int, Field(ge=1)] = 10
    """Steps between two choices while the cut grows."""
    calibration: Annotated[int, Field(ge=0)] = 0
    """As in `OneShot`."""

    @model_validator(mode="after")
    def _room_to_cut(self) -> Self:
        if self.warm_up + self.cool_down >= 1:
            raise ValueError("warm_up and cool_down together must leave steps to cut in")
        return self

    def remaining(self, done: int, total: int) -> float:
        """As in `OneShot`; a cubic curve."""
        start, end = self._bounds(total)
        if done > end:
            return 0.0
        if done <= start:
            return 1.0
        return float((1 - (done - start) / (end - start)) ** 3)

    def chooses(self, done: int, total: int) -> bool:
        """As in `OneShot`."""
        start, end = self._bounds(total)
        return done > end or (done > start and done % self.every == 0)

    def holds(self, done: int, total: int) -> bool:
        """As in `OneShot`: never, each step of the cool-down chooses anew."""
        return False

    def last_choice(self, total: int) -> int:
        """As in `OneShot`: the end."""
        return total

    def _bounds(self, total: int) -> tuple[int, int]:
        """The last step of the warm-up and the last before the cool-down."""
        return round(self.warm_up * total), total - max(1, round(self.cool_down * total))


Schedule = Annotated[OneShot | Iterative | Cubic, Field(discriminator="kind")]
