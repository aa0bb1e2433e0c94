"""Ablation: dev recall without each unit, measured."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from retrieval.compress.importance.importance import Context, Criterion, Importance
from retrieval.compress.importance.tally import on_devices
from retrieval.models.surgery.units import Group
from retrieval.spec.errors import RecipeError


class Ablation(Criterion):
    """The drop of dev recall when a unit is silenced (Lin et al., CVPR 2024, MoPE-CLIP).

    Heads and layers go one by one, neurons and channels in blocks of neighbours that share a
    score. It costs one evaluation for each, once, when scores are first asked for.
    """

    criterion: Literal["ablation"] = "ablation"
    blocks: Annotated[int, Field(ge=1)] = 8
    """Into how many blocks the neurons or channels of one layer are split."""

    def start(self, context: Context) -> "AblationImportance":
        if context.evaluate is None:
            raise RecipeError("importance ablation measures dev recall: add data.dev")
        for group in context.groups:
            if not group.silencers or group.granularity == "weight":
                raise RecipeError(
                    f"importance ablation cannot silence units of {group.name} "
                    f"({group.granularity}); it scores heads, neurons, channels and layers"
                )
        return AblationImportance(context.groups, context.evaluate, blocks=self.blocks)


class AblationImportance(Importance):
    """Scores of the weights as they are when `scores` is first called.

    Args:
        groups: The units to score.
        evaluate: Dev recall of the present weights.
        blocks: How many blocks of neurons or channels a group has.
    """

    def __init__(
        self, groups: Sequence[Group], evaluate: Callable[[], float], *, blocks: int
    ) -> None:
        super().__init__(groups)
        self.evaluate = evaluate
        self.blocks = blocks
        self.measured: dict[str, Tensor] = {}

    def scores(self) -> dict[str, Tensor]:
        if not self.measured:
            whole = self.evaluate()
            self.measured = {group.name: self._drops(group, whole) for group in self.groups}
        return {name: value.clone() for name, value in self.measured.items()}

    def _drops(self, group: Group, whole: float) -> Tensor:
        device = group.members[0].parameter.device
        together = group.granularity in ("neuron", "channel")
        count = min(self.blocks, group.units) if together else group.units
        drops = torch.zeros(group.units, device=device)
        for block in torch.arange(group.units, device=device).tensor_split(count):
            keep = torch.ones(group.units, dtype=torch.bool, device=device)
            keep[block] = False
            with _silenced(group, keep):
                drops[block] = whole - self.evaluate()
        return drops

    def state_dict(self) -> dict[str, Any]:
        return {"measured": dict(self.measured)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.measured = on_devices(state["measured"], self.groups)


@contextmanager
def _silenced(group: Group, keep: Tensor) -> Iterator[None]:
    """Without the units that ``keep`` leaves out; the weights come back bit by bit."""
    before = [member.parameter.detach().clone() for member in group.silencers]
    group.silence(keep)
    try:
        yield
    finally:
        with torch.no_grad():
            for member, weights in zip(group.silencers, before, strict=True):
                member.parameter.copy_(weights)
