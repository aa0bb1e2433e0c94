"""AdamW with learning rates by prefix, and a schedule that is a function of the step."""

import math

import torch
from torch import nn

from retrieval.compress.loop.settings import Training
from retrieval.spec.errors import RecipeError

_MODEL = "model."
_QUANTISED = ".parametrizations.weight.original"


def make_optimiser(module: nn.Module, settings: Training) -> torch.optim.AdamW:
    """One parameter group per learning rate and decay; frozen parameters are left out.

    Vectors (biases, norms, temperatures) do not decay, nor does a bridge: decay would turn
    its reflections back to where they began.

    Raises:
        RecipeError: A multiplier names no parameter, or nothing is left to train.
    """
    unused = set(settings.multipliers)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for full_name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        # The model is one part of a task; recipes speak of the model's own names, also while
        # its weights are quantised.
        name = full_name
        if name.startswith(_MODEL):
            name = name.removeprefix(_MODEL).replace(_QUANTISED, ".weight")
        prefix = _longest_prefix(name, settings.multipliers)
        unused -= {p for p in settings.multipliers if name.startswith(p)}
        factor = 1.0 if prefix is None else settings.multipliers[prefix]
        if factor == 0:
            parameter.requires_grad_(False)
            continue
        decays = parameter.ndim > 1 and ".parametrizations." not in name
        decay = settings.weight_decay if decays else 0.0
        groups.setdefault((factor, decay), []).append(parameter)
    if unused:
        raise RecipeError(
            f"training.multipliers: no parameter in training starts with {sorted(unused)[0]!r}"
        )
    if not groups:
        raise RecipeError("nothing to train: every parameter is frozen by training.multipliers")
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": decay, "factor": factor}
            for (factor, decay), parameters in groups.items()
        ],
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
    )


def set_learning_rate(
    optimiser: torch.optim.Optimizer, settings: Training, step: int, total: int
) -> float:
    """Linear warm-up, then cosine to zero; returns the base rate of this step."""
    warmup = max(1, round(settings.warmup * total))
    if step < warmup:
        share = (step + 1) / warmup
    else:
        share = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
    rate = settings.learning_rate * share
    for group in optimiser.param_groups:
        group["lr"] = rate * group["factor"]
    return rate


def _longest_prefix(name: str, prefixes: dict[str, float]) -> str | None:
    return max((p for p in prefixes if name.startswith(p)), key=len, default=None)
