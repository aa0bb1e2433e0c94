"""Making modules of a convolutional network narrower, as a configuration lists them."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from retrieval.spec.errors import CheckpointError

Widths = Mapping[str, tuple[int, int]]
"""For each module by name, channels that go in and come out."""


def channelwise(module: nn.Module) -> bool:
    """Whether each channel of a module's output depends on the same channel of its input."""
    if isinstance(module, nn.Conv2d):
        return module.groups == module.in_channels == module.out_channels > 1
    return not isinstance(module, nn.Linear)


def width(module: nn.Module) -> tuple[int, int] | None:
    """Channels that go in and come out; None for a module that `narrow` cannot change."""
    if isinstance(module, nn.Conv2d):
        whole = module.groups == 1 or channelwise(module)
        return (module.in_channels, module.out_channels) if whole else None
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    if isinstance(module, _BatchNorm):
        return module.num_features, module.num_features
    scale = _scale(module)
    return None if scale is None else (scale.numel(), scale.numel())


def narrow(network: nn.Module, widths: Widths) -> None:
    """Cut the listed modules of a network to their first channels; in place.

    Args:
        network: Convolutions (plain or depthwise), linear layers, batch norms and layer
            scales of it can be narrowed.
        widths: Where a module is not listed, it stays as it is.

    Raises:
        CheckpointError: A name that the network lacks, a module of another kind, or a width
            that the module cannot have.
    """
    modules = dict(network.named_modules())
    for name, (inputs, outputs) in widths.items():
        if name not in modules:
            raise CheckpointError(f"widths: the network has no module {name!r}")
        module = modules[name]
        full = width(module)
        if full is None:
            kind = type(module).__name__
            raise CheckpointError(f"widths: {name} is a {kind}, which cannot be made narrower")
        problem = ""
        if inputs > full[0] or outputs > full[1]:
            problem = f"is wider than the {full[0]} to {full[1]} of the architecture"
        elif channelwise(module) and inputs != outputs:
            problem = "differ, but this module keeps channels apart"
        if problem:
            raise CheckpointError(f"widths: {name}: {inputs} to {outputs} {problem}")
        _narrow(module, inputs, outputs)


def _narrow(module: nn.Module, inputs: int, outputs: int) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        columns = 1 if channelwise(module) else inputs
        module.weight = _parameter(module.weight[:outputs, :columns])
        if module.bias is not None:
            module.bias = _parameter(module.bias[:outputs])
    if isinstance(module, nn.Conv2d):
        module.groups = outputs if channelwise(module) else 1
        module.in_channels, module.out_channels = inputs, outputs
    elif isinstance(module, nn.Linear):
        module.in_features, module.out_features = inputs, outputs
    else:
        _narrow_vectors(module, outputs)


def _narrow_vectors(module: nn.Module, size: int) -> None:
    for name, parameter in list(module.named_parameters(recurse=False)):
        setattr(module, name, _parameter(parameter[:size]))
    for name, buffer in list(module.named_buffers(recurse=False)):
        if buffer.ndim:
            setattr(module, name, buffer[:size].clone())
    if isinstance(module, _BatchNorm):
        module.num_features = size


def _scale(module: nn.Module) -> Tensor | None:
    """The only tensor of a module that multiplies every channel by a number of its own."""
    tensors = [*module.parameters(), *module.buffers()]
    if len(tensors) != 1 or isinstance(module, nn.PReLU | nn.LayerNorm | nn.GroupNorm):
        return None
    return tensors[0] if tensors[0].ndim and tensors[0].shape[0] == tensors[0].numel() else None


def _parameter(part: Tensor) -> nn.Parameter:
    return nn.Parameter(part.detach().clone())
