"""Parameters that stay as the student's start left them."""

from collections.abc import Sequence

from torch import nn


def freeze(module: nn.Module, prefixes: Sequence[str]) -> None:
    """Take parameters out of training, in place.

    Called after a task has said which towers it trains, and before its optimiser exists.

    Args:
        module: A model, or a task that holds it as ``model``.
        prefixes: Of names in the model.
    """
    for name, parameter in module.named_parameters():
        if name.removeprefix("model.").startswith(tuple(prefixes)):
            parameter.requires_grad_(False)
