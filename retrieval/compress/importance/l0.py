"""L0: gates on the units learn which of them to close."""

import copy
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from retrieval.compress.distributed.ranks import average
from retrieval.compress.importance.gradients import no_gradients
from retrieval.compress.importance.hard_concrete import expected, open_chance, sample
from retrieval.compress.importance.importance import Context, Criterion, Importance
from retrieval.models.surgery.gates import Gates, gated
from retrieval.spec.errors import RecipeError

# A uniform number of exactly 0 or 1 would make a gate's gradient NaN.
_EDGE = 1e-6


class L0(Criterion):
    """Learned hard-concrete gates with a sparsity target, as in TinyCLIP and CoFi.

    Every step draws a gate for each unit and multiplies its activation by it. With s the
    expected share of closed gates and t the target (one minus what the recipe keeps)::

        penalty = a * max(0, t - s) + b * max(0, t - s)^2

    Gates descend on loss and penalty, a and b ascend on the penalty (Wu et al., ICCV 2023;
    Xia et al., ACL 2022; Wang et al., EMNLP 2020). Gates work in training alone: what is
    evaluated is the model without them, with the units that the pruner silenced.
    """

    criterion: Literal["l0"] = "l0"
    learning_rate: Annotated[float, Field(gt=0)] = 0.02
    """Of the gates and, upwards, of a and b."""
    penalty: Annotated[float, Field(ge=0)] = 10.0
    """Where a and b start."""
    log_alpha: float = 2.5
    """Where the gates start; 2.5 has 98 in a hundred open."""
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the steps over which the target grows from nothing."""
    seed: int = 0

    def start(self, context: Context) -> "L0Importance":
        for group in context.groups:
            if not group.gates:
                raise RecipeError(
                    f"importance l0 needs gates, which {group.name} ({group.granularity}) has "
                    "not; choose taylor, platon or magnitude"
                )
        return L0Importance(context, self)


class L0Importance(Importance):
    """Gates, their optimiser, and the multipliers of the penalty.

    Args:
        context: Its groups all have gates.
        settings: See `L0`.
    """

    def __init__(self, context: Context, settings: L0) -> None:
        super().__init__(context.groups)
        self.settings = settings
        self.sparsity = 1 - context.keep
        self.warmup = settings.warmup * context.total
        self.step = 0
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.log_alpha = {
            group.name: nn.Parameter(
                torch.full(
                    (group.units,), settings.log_alpha, device=group.members[0].parameter.device
                )
            )
            for group in self.groups
        }
        self.multipliers = nn.Parameter(
            torch.full((2,), settings.penalty, device=next(iter(self.log_alpha.values())).device)
        )
        rate = settings.learning_rate
        self.descent = torch.optim.Adam(self.log_alpha.values(), lr=rate)
        self.ascent = torch.optim.Adam([self.multipliers], lr=rate, maximize=True)
        self.drawn: dict[str, Tensor] = {}
        self.gates: Gates | None = None

    def before_forward(self) -> None:
        self.close()
        self.drawn = {name: sample(one, self._uniform(one)) for name, one in self.log_alpha.items()}
        # Leaves, so that several backward passes may add up before a step.
        leaves = {name: one.detach().requires_grad_() for name, one in self.drawn.items()}
        self.gates = gated(self.groups, leaves)

    def _uniform(self, like: Tensor) -> Tensor:
        drawn = torch.rand(like.shape, generator=self.generator)
        return drawn.clamp(_EDGE, 1 - _EDGE).to(like.device)

    def losses(self) -> dict[str, Tensor]:
        short = (self.target - self.closed_share()).clamp(min=0)
        first, second = self.multipliers
        return {"l0": first * short + second * short.square()}

    @property
    def target(self) -> float:
        """Share of gates that should be closed at the present step."""
        grown = min(1.0, (self.step + 1) / self.warmup) if self.warmup else 1.0
        return self.sparsity * grown

    def closed_share(self) -> Tensor:
        """Expected share of all units whose gate is zero, a scalar."""
        return 1 - torch.cat([open_chance(one) for one in self.log_alpha.values()]).mean()

    def before_step(self, rate: float) -> None:
        if self.gates is None:
            return
        for group in self.groups:
            gradient = self.gates.values[group.name].grad
            if gradient is None:
                raise no_gradients(group)
            self.drawn[group.name].backward(gradient)
        self.close()

    def after_step(self) -> None:
        parameters = [*self.log_alpha.values(), self.multipliers]
        gradients = [one.grad for one in parameters if one.grad is not None]
        # The gates are no part of the module whose gradients are averaged across processes.
        average(gradients)
        # Mixed precision skips steps whose gradients overflow; so do the gates.
        if all(bool(one.isfinite().all()) for one in gradients):
            self.descent.step()
            self.ascent.step()
        self.descent.zero_grad()
        self.ascent.zero_grad()
        self.step += 1

    def scores(self) -> dict[str, Tensor]:
        """Expected gates."""
        return {name: expected(one.detach()) for name, one in self.log_alpha.items()}

    def close(self) -> None:
        if self.gates is not None:
            self.gates.remove()
        self.gates = None

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "log_alpha": {name: one.detach().clone() for name, one in self.log_alpha.items()},
            "multipliers": self.multipliers.detach().clone(),
            # Adam goes on in the same tensors.
            "descent": copy.deepcopy(self.descent.state_dict()),
            "ascent": copy.deepcopy(self.ascent.state_dict()),
            "random": self.generator.get_state(),
        }

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.step = state["step"]
        for name, one in self.log_alpha.items():
            one.copy_(state["log_alpha"][name])
        self.multipliers.copy_(state["multipliers"])
        self.descent.load_state_dict(state["descent"])
        self.ascent.load_state_dict(state["ascent"])
        self.generator.set_state(state["random"])
