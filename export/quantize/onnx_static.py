"""Convolutional towers in int8 throughout: activations have fixed scales, learned from photos.

Weights have a scale for each output channel, activations one for a tensor. Written as pairs
of ``QuantizeLinear`` and ``DequantizeLinear``, which ONNX Runtime fuses into its int8
kernels, and other runtimes read too.
"""

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import shape_inference
from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType
from onnxruntime.quantization.calibrate import (
    CalibrationDataReader,
    TensorsData,
    create_calibrator,
)

from export.quantize.onnx import say_activations, store_weights
from export.quantize.storage import store_half

STATIC = "static int8"
"""What a tower's metadata says of its activations."""

OPERATIONS = ("Conv", "Relu", "Clip", "Add", "GlobalAveragePool", "AveragePool", "MaxPool")
"""Those that stay in int8. Gates (products, sigmoids, softmax) and the projection, whose
rounding would go straight into the embedding, are computed in float32."""


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Inputs one by one, as a phone has them."""

    def __init__(self, name: str, inputs: NDArray[np.generic]) -> None:
        self._rows: Iterator[dict[str, Any]] = ({name: row[None]} for row in inputs)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._rows, None)


def find_ranges(model: onnx.ModelProto, inputs: NDArray[np.generic]) -> TensorsData:
    """Range of every activation: the least and the greatest value over all photos.

    Narrower ranges cut values off, and what is cut off no bias takes back.

    Args:
        model: Traced in float32.
        inputs: As the tower takes them.
    """
    with TemporaryDirectory() as folder, _quiet():
        plain = Path(folder) / "tower.onnx"
        onnx.save(shape_inference.infer_shapes(model), plain)
        calibrator = create_calibrator(
            plain,
            OPERATIONS,
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=CalibrationMethod.MinMax,
        )
        calibrator.collect_data(_Reader(model.graph.input[0].name, inputs))
        return calibrator.compute_data()


def quantise_static(
    model: onnx.ModelProto, ranges: TensorsData, *, keep: Collection[str] = ()
) -> onnx.ModelProto:
    """A copy of an fp32 graph whose convolutions compute in int8.

    Args:
        model: Traced in float32; not changed.
        ranges: From `find_ranges`.
        keep: Names of nodes that stay in float32; their weights are stored as float16.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(shape_inference.infer_shapes(model))
    with _quiet():
        quantizer = QDQQuantizer(
            copy,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=ranges,
            nodes_to_quantize=[],
            nodes_to_exclude=[*keep, *_shifts(copy)],
            op_types_to_quantize=list(OPERATIONS),
            extra_options={},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    made: onnx.ModelProto = quantizer.model.model
    # Batch is dynamic: what the tool noted of shapes only weighs.
    del made.graph.value_info[:]
    store_weights(made, convolutions="fp16")
    store_half(made)
    say_activations(made, STATIC)
    return made


def _shifts(model: onnx.ModelProto) -> Iterator[str]:
    """Names of additions of a constant, unlike those of residuals, which add two activations.

    The scale of such a sum is that of the activation, on which a small constant rounds to
    nought: a root's slack would vanish and leave 0 / 0.
    """
    constants = {one.name for one in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants.update(node.output)
        elif node.op_type == "Add" and not constants.isdisjoint(node.input):
            yield node.name


@contextmanager
def _quiet() -> Iterator[None]:
    """ONNX Runtime's tools give advice through the root logger."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
