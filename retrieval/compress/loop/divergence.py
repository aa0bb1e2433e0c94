"""Notice a training that has left the road before hours are lost on it."""

from collections.abc import Mapping

# Steps over which a loss is averaged before it is compared.
_WINDOW = 50
# A mean loss of so many times the first one is no noise any more.
_FACTOR = 3.0


class DivergenceWatch:
    """Compares the running mean of a loss with its mean over the first steps."""

    def __init__(self) -> None:
        self.steps = 0
        self.first = 0.0
        self.mean = 0.0

    def diverges(self, loss: float) -> bool:
        """Whether, with this step's loss, the mean is far above where it began."""
        self.steps += 1
        if self.steps <= _WINDOW:
            self.first += (loss - self.first) / self.steps
            self.mean = self.first
            return False
        self.mean += (loss - self.mean) / _WINDOW
        return self.mean > _FACTOR * abs(self.first)

    @property
    def finding(self) -> str:
        """What `diverges` has found, for an error message."""
        return f"the loss diverges: {self.mean:.3g} on average, {self.first:.3g} at the start"

    def state_dict(self) -> dict[str, float]:
        """For resuming."""
        return {"steps": self.steps, "first": self.first, "mean": self.mean}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Take back what `state_dict` gave."""
        self.steps = int(state["steps"])
        self.first, self.mean = state["first"], state["mean"]
