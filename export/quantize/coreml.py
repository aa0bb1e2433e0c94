"""The precisions of a Core ML tower.

``fp32``, ``fp16``
    Weights as the graph computes with them.
``int8``
    Weights as 8-bit integers with one scale for each output channel, or each row of a token
    embedding: the trained one where the weights were trained on an int8 grid.
``pal8``, ``pal6``, ``pal4``
    Weights as 8, 6 or 4-bit places in a palette of each tensor's own, found by k-means.
    Depthwise convolutions, small and sensitive, always have 8 bits.

Only what multiplies or looks up is compressed: convolutions, linear maps, matrix products,
token embeddings. Masks, positions, norms and biases, and weights too small to gain by it,
stay as they are. Core ML expands the rest when it loads the file.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.quantize.palettes import palette
from retrieval.spec.errors import ExportError

SMALLEST = 512
"""Tensors of no more elements stay float: a palette of 256 places would outweigh the gain."""

_MULTIPLIED = {"conv": "weight", "linear": "weight", "gather": "x", "matmul": "y"}
_PALETTE_BITS = {"pal8": 8, "pal6": 6, "pal4": 4}
_DEPTHWISE_BITS = 8


def compress(model: Any, precision: str) -> Any:
    """A copy of an ML program with compressed weights; the same one for float precisions.

    Args:
        model: A ``coremltools.models.MLModel`` with float weights; not changed.
        precision: What the module's description says of each.

    Raises:
        ExportError: A weight is not a finite number in the type that it is stored in.
    """
    constants = _constants(model)
    _check_finite(constants)
    if precision in ("fp32", "fp16"):
        return model
    chosen = [constant for constant in constants if _is_multiplied(constant.outputs[0])]
    if precision == "int8":
        return _quantise(model, chosen)
    return _palettise(model, chosen, _PALETTE_BITS[precision])


def stored_weights(model: Any) -> list[NDArray[np.float32]]:
    """Every tensor of an ML program that may be a weight, as the numbers it computes with."""
    main = model._mil_program.functions["main"]
    found = []
    for operation in main.operations:
        if operation.op_type.startswith("constexpr"):
            found.append(operation.materialized_val_inference())
        elif operation.op_type == "const" and _is_float_tensor(operation.outputs[0].val):
            found.append(operation.outputs[0].val)
    return [value.astype(np.float32) for value in found if value.ndim > 1]


def _quantise(model: Any, chosen: Iterable[Any]) -> Any:
    import coremltools.optimize.coreml as optimise

    config = optimise.OpLinearQuantizerConfig(
        mode="linear_symmetric",
        dtype="int8",
        granularity="per_channel",
        weight_threshold=SMALLEST,
    )
    wanted = {constant.name: config for constant in chosen}
    return optimise.linear_quantize_weights(
        model, optimise.OptimizationConfig(op_name_configs=wanted)
    )


def _palettise(model: Any, chosen: Iterable[Any], bits: int) -> Any:
    import coremltools.optimize.coreml as optimise

    def config(bits: int) -> Any:
        return optimise.OpPalettizerConfig(
            mode="custom", lut_function=partial(palette, bits=bits), weight_threshold=SMALLEST
        )

    wanted = {
        constant.name: config(_DEPTHWISE_BITS if _is_depthwise(constant) else bits)
        for constant in chosen
    }
    return optimise.palettize_weights(model, optimise.OptimizationConfig(op_name_configs=wanted))


def _constants(model: Any) -> list[Any]:
    """Operations of an ML program that hold a float tensor.

    The public ``get_weights_metadata`` fails on programs that join constants.
    """
    main = model._mil_program.functions["main"]
    return [
        operation
        for operation in main.operations
        if operation.op_type == "const" and _is_float_tensor(operation.outputs[0].val)
    ]


def _is_float_tensor(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim > 0


def _check_finite(constants: Iterable[Any]) -> None:
    for constant in constants:
        value = constant.outputs[0].val
        if not np.isfinite(value).all():
            raise ExportError(
                f"the weight {constant.name} has numbers that {value.dtype} does not hold; "
                "ask for fp32"
            )


def _is_multiplied(constant: Any) -> bool:
    """Whether every operation that reads a constant multiplies with it or looks up in it."""
    return all(
        reader.inputs.get(_MULTIPLIED.get(reader.op_type, "")) is constant
        for reader in constant.child_ops
    )


def _is_depthwise(constant: Any) -> bool:
    shape = constant.outputs[0].shape
    return len(shape) == 4 and shape[0] > shape[1] == 1
