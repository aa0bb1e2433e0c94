"""Trains weights on the grid that the exported model will have."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.hooks import RemovableHandle

from retrieval.compress.loop.modifier import Modifier
from retrieval.compress.quantise.grids import dynamic_uint8, straight_through
from retrieval.compress.quantise.settings import Quantise
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.transformer import Block
from retrieval.spec.errors import RecipeError
from retrieval.spec.quantisation import Grid, Kind, Quantisation
from retrieval.spec.tower import TOWERS, Tower

_MERGED = ("fuse", "reparameterize", "switch_to_deploy")
"""Methods by which timm merges the branches of a module for inference."""


class Quantiser(Modifier):
    """Quantisation-aware training of all towers that a task trains.

    The optimiser moves floating-point weights; every forward pass sees them rounded, and
    gradients pass through the rounding. Distilling from the unquantised teacher meanwhile,
    as TernaryBERT does, is a matter of the stage's losses.

    Grids are per output channel, so they need no care for batch norm: what follows a
    convolution scales whole channels, which exporters fold into the scales.

    Convolutions inside modules that timm merges for inference (RepVGG, MobileOne, FastViT
    and their kin) stay in floating point, since no grid survives the merging.
    """

    name = "quantise"

    name = "quantise"

    def __init__(self, settings: Quantise) -> None:
        self.settings = settings
        self._targets: dict[str, _Target] = {}
        self._first = 0

    def start(self, task: Any, total: int) -> None:
        """Put a grid under every weight that the settings name.

        Raises:
            RecipeError: Nothing in the trained towers can be quantised, or a prefix to skip
                names no module.
        """
        model: DualEncoder = task.model
        self._first = round(self.settings.start * total)
        self._targets = {target.name: target for target in _find(model, self.settings)}
        if not self._targets:
            raise RecipeError("quantise: no weight of the towers in training is to be quantised")
        for target in self._targets.values():
            target.begin()
        self._switch(self._first == 0)

    def before_forward(self, step: int) -> None:
        self._switch(step >= self._first)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Rounded, even before rounding starts in training."""
        before = {name: target.rounding.active for name, target in self._targets.items()}
        self._switch(True)
        try:
            yield
        finally:
            for name, active in before.items():
                self._targets[name].rounding.active = active

    def finish(self, task: Any) -> Mapping[str, Any]:
        """Leave plain weights that lie on their grids, and say so in the configuration."""
        model: DualEncoder = task.model
        self._switch(True)
        for target in self._targets.values():
            target.bake()
        grids = {name: target.rounding.grid for name, target in self._targets.items()}
        trained: set[Tower] = {target.tower for target in self._targets.values()}
        earlier = model.config.quantisation
        others = (
            earlier.only([tower for tower in TOWERS if tower not in trained]) if earlier else None
        )
        dynamic = tuple(name for name, target in self._targets.items() if target.dynamic)
        quantisation = Quantisation(
            grids={**(others.grids if others else {}), **grids},
            dynamic=(*(others.dynamic if others else ()), *dynamic),
        )
        model.config = model.config.model_copy(update={"quantisation": quantisation})
        counts: Counter[str] = Counter()
        for target in self._targets.values():
            counts[target.rounding.grid.kind] += target.module.weight.numel()
        return {"weights": dict(counts), "tensors": len(grids), "dynamic": len(dynamic)}

    def _switch(self, active: bool) -> None:
        for target in self._targets.values():
            target.rounding.active = active


class _Rounding(nn.Module):
    """Rounds weights; the identity while it is not active."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        self.active = True

    def forward(self, weight: Tensor) -> Tensor:
        return straight_through(weight, self.grid) if self.active else weight


@dataclass(frozen=True, eq=False)
class _Target:
    """A weight to round, by its name in the model."""

    name: str
    module: nn.Linear | nn.Conv2d | nn.Embedding
    rounding: _Rounding
    dynamic: bool
    hooks: list[RemovableHandle] = field(default_factory=list)

    @property
    def tower(self) -> Tower:
        return "image" if self.name.startswith("image.") else "text"

    def begin(self) -> None:
        """Round whenever the module computes."""
        if isinstance(self.module, nn.Embedding):
            # Rows have grids of their own: rounding those in use is rounding all of them.
            self.hooks.append(self.module.register_forward_hook(self._round_rows))
        else:
            parametrize.register_parametrization(self.module, "weight", self.rounding)
        if self.dynamic:
            self.hooks.append(self.module.register_forward_pre_hook(self._round_inputs))

    @torch.no_grad()
    def bake(self) -> None:
        """Round once and for all."""
        for hook in self.hooks:
            hook.remove()
        if isinstance(self.module, nn.Embedding):
            self.module.weight.copy_(self.rounding(self.module.weight))
        else:
            parametrize.remove_parametrizations(self.module, "weight", leave_parametrized=True)

    def _round_rows(self, module: nn.Module, inputs: object, rows: Tensor) -> Tensor:
        rounded: Tensor = self.rounding(rows.flatten(0, -2))
        return rounded.view_as(rows)

    def _round_inputs(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (dynamic_uint8(inputs[0]), *inputs[1:]) if self.rounding.active else inputs


def _find(model: DualEncoder, settings: Quantise) -> list[_Target]:
    modules = {
        f"{tower}.{name}": module
        for tower in TOWERS
        for name, module in getattr(model, tower).named_modules()
        if any(p.requires_grad for p in getattr(model, tower).parameters())
    }
    if "skip" in settings.model_fields_set:
        everything = [name for name, _ in model.named_modules()]
        for prefix in settings.skip:
            if not any(name.startswith(prefix) for name in everything):
                raise RecipeError(f"quantise.skip: no module's name starts with {prefix!r}")
    merged = tuple(
        f"{name}." for name, one in modules.items() if any(hasattr(one, m) for m in _MERGED)
    )
    ours = tuple(f"{name}." for name, module in modules.items() if isinstance(module, Block))
    found = []
    for name, module in modules.items():
        grid = _grid(module, settings)
        if grid is None or name.startswith(settings.skip) or f"{name}.".startswith(merged):
            continue
        dynamic = settings.activations == "int8" and name.startswith(ours)
        found.append(_Target(f"{name}.weight", module, _Rounding(grid), dynamic))
    return found


def _grid(module: nn.Module, settings: Quantise) -> Grid | None:
    """Grid of a module's weight; None for what has none or stays as it is."""
    from timm.layers.conv2d_same import Conv2dSame

    # Exact classes, or ours: others compute what they multiply with from ``weight``, as
    # convolutions with standardised weights do.
    classes = type(module).__mro__
    plain = next(one for one in classes if not one.__module__.startswith("retrieval."))
    kinds: dict[type, Kind | None] = {
        nn.Linear: settings.weights.linear,
        nn.Conv2d: settings.weights.convolution,
        Conv2dSame: settings.weights.convolution,
        nn.Embedding: settings.weights.embedding,
    }
    kind = kinds.get(plain)
    if kind is None:
        return None
    if kind == "ternary" and not isinstance(module, nn.Embedding):
        return Grid(kind=kind, rows="matrix")
    weight = module.get_parameter("weight")
    group = settings.group if kind == "int4" and weight.ndim == 2 else None
    return Grid(kind=kind, group=group if group and weight.shape[1] % group == 0 else None)
