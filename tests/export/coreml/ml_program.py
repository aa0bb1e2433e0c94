"""Reads a ``.mlpackage`` back and runs it in numpy, where there is no Core ML.

It follows the specification, rounding every result to the type that the program states; of
the kernels that a phone runs it says nothing.
"""

from pathlib import Path
from typing import Any

import numpy as np

from export.targets.coreml.converter import coremltools, quiet
from export.targets.target import Inputs
from tests.export.coreml import ml_products, ml_shapes  # noqa: F401  (they fill the table)
from tests.export.coreml.ml_operations import OPERATIONS


class UnknownOperationError(NotImplementedError):
    """A program has an operation that is not in the table."""


class MLProgram:
    """A program read from a package.

    Args:
        path: A ``.mlpackage``.
    """

    def __init__(self, path: Path) -> None:
        ct = coremltools()
        from coremltools.converters.mil.frontend.milproto.load import load

        with quiet():
            self.model = ct.models.MLModel(str(path), skip_model_load=True)
            specification = self.model.get_spec()
            program = load(
                specification,
                specification_version=specification.specificationVersion,
                file_weights_dir=self.model.weights_dir,
            )
        self.main = program.functions["main"]
        (self.input,) = self.main.inputs
        (self.output,) = (variable.name for variable in self.main.outputs)

    def __call__(self, inputs: Inputs) -> Any:
        """What the program makes of uint8 pixels or token ids, row by row: ``(batch, dim)``."""
        return np.concatenate([self.values(row)[self.output] for row in inputs])

    def values(self, row: Inputs) -> dict[str, Any]:
        """Every value that one input gives, by its name in the program."""
        taken = self.main.inputs[self.input]
        values = {self.input: _stated(row[None], taken)}
        for operation in self.main.operations:
            if operation.op_type == "const":
                continue
            if operation.op_type not in OPERATIONS:
                raise UnknownOperationError(
                    f"{operation.op_type} ({operation.name}) is not in the table of ml_operations"
                )
            found = OPERATIONS[operation.op_type](**_arguments(operation, values))
            found = found if isinstance(found, list) else [found]
            for variable, value in zip(operation.outputs, found, strict=True):
                values[variable.name] = _stated(value, variable)
        return values

    def constants(self) -> dict[str, Any]:
        """Tensors and numbers that are stored as they are, by their names."""
        return {
            operation.outputs[0].name: _value(operation.outputs[0], {})
            for operation in self.main.operations
            if operation.op_type == "const"
        }

    def decompressed(self) -> dict[str, Any]:
        """Weights that are stored compressed, by the name that they had before."""
        return {
            operation.outputs[0].name.rpartition("_")[0]: OPERATIONS[operation.op_type](
                **_arguments(operation, {})
            )
            for operation in self.main.operations
            if operation.op_type.startswith("constexpr")
        }

    def operations(self) -> set[str]:
        """Names of the operations that it uses."""
        return {operation.op_type for operation in self.main.operations} - {"const"}


def _arguments(operation: Any, values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [_value(one, values) for one in given]
        if isinstance(given, list | tuple)
        else _value(given, values)
        for name, given in operation.inputs.items()
        if given is not None
    }


def _value(variable: Any, values: dict[str, Any]) -> Any:
    found = values.get(variable.name, variable.val)
    if isinstance(found, np.ndarray | np.generic) and found.dtype.kind == "f":
        return found.astype(np.float32)
    return found


def _stated(value: Any, variable: Any) -> Any:
    """A value in the type of its variable."""
    from coremltools.converters.mil.mil import types

    with np.errstate(over="ignore"):
        return np.asarray(value, types.nptype_from_builtin(variable.dtype))
