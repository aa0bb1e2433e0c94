"""The precisions of an ExecuTorch tower: quantised in PyTorch, before it is lowered.

``int8``
    Dynamic: matrix products with weights in int8, a scale for each output channel, and
    activations rounded on the fly. Token embeddings are int8 with a scale for each row.
    Convolutions stay in float: XNNPACK fails at those that are rounded on the fly.
``int8-static``
    Convolutions, too, and activations in int8, whose scales come from calibration. Biases take
    back what rounding shifts.
"""

import copy
import dataclasses
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from export.quantize.executorch_biases import channel_means, correct_biases
from retrieval.spec.errors import ExportError

ExecuTorchPrecision = Literal["fp32", "int8", "int8-static"]

LARGEST_CODE = 127

TOWER = "tower"
"""Name of the tower in the graphs of `export.targets.graphs`."""

_MODULES = "nn_module_stack"
_RELU6 = (torch.ops.aten.hardtanh.default, torch.ops.aten.hardtanh_.default)


class Int8Embedding(nn.Module):
    """An embedding whose rows are int8 codes with one scale each.

    Args:
        table: The embedding in float.
    """

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        weight = table.weight.detach()
        scales = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / LARGEST_CODE
        self.codes: Tensor
        self.scales: Tensor
        self.register_buffer("codes", (weight / scales).round().to(torch.int8))
        self.register_buffer("scales", scales)

    def forward(self, ids: Tensor) -> Tensor:
        """Rows of the ids, ``(batch, length)`` to ``(batch, length, width)``."""
        return F.embedding(ids, self.codes).to(self.scales.dtype) * F.embedding(ids, self.scales)


def with_int8_rows(graph: nn.Module) -> nn.Module:
    """A copy whose embeddings are stored in int8; the graph itself if it has none."""
    if not any(isinstance(module, nn.Embedding) for module in graph.modules()):
        return graph
    changed = copy.deepcopy(graph)
    for parent in list(changed.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, nn.Embedding):
                setattr(parent, name, Int8Embedding(module))
    return changed


def quantise(
    graph: nn.Module,
    precision: Literal["int8", "int8-static"],
    example: Tensor,
    *,
    calibration: NDArray[np.generic] | None = None,
) -> nn.Module:
    """A tower with its products quantised for XNNPACK.

    Args:
        graph: The tower in float; not changed.
        precision: What the module's description says of each.
        example: One row, as the file takes it.
        calibration: More rows, for ``int8-static``.

    Raises:
        ExportError: Calibration inputs are missing.
    """
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e import MinMaxObserver
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    dynamic = precision == "int8"
    if not dynamic and (calibration is None or not len(calibration)):
        raise ExportError(
            "int8-static ExecuTorch files need calibration inputs to choose the scales of their "
            "activations; give some, or choose int8"
        )
    rows = example[None] if dynamic or calibration is None else torch.from_numpy(calibration)
    settings: Any = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=dynamic)
    if not dynamic:
        # Once biases are corrected, cutting extremes off costs more than it gains.
        widest = dataclasses.replace(
            settings.input_activation,
            observer_or_fake_quant_ctr=MinMaxObserver.with_args(eps=2**-12),
        )
        settings = dataclasses.replace(settings, input_activation=widest, output_activation=widest)
    program = torch.export.export(with_int8_rows(graph), (example,))
    # What is around the tower stays in float: it normalises pixels and embeddings.
    quantizer = (XNNPACKQuantizer() if dynamic else _static_quantizer()).set_module_name(
        TOWER, settings
    )
    watched = prepare_pt2e(program.module(), quantizer)
    given = [row.reshape(example.shape) for row in rows]
    for row in given:
        watched(row)
    wanted = {} if dynamic else channel_means(watched, given)
    quantised: GraphModule = convert_pt2e(watched)
    if not dynamic:
        correct_biases(quantised, wanted, given)
    return quantised


def _static_quantizer() -> Any:
    """XNNPACK's quantiser, with two gaps closed that cost convolutional towers their int8.

    It asks all nodes of a convolution for the name of their module, but nodes that fetch weights
    have none: it would pass over convolutions. And it measures a convolution's output before
    ReLU6 cuts it off, which wastes most of the scale; only ReLU it takes into account.

    Sums of an activation and a constant stay in float: on the activation's scale a small
    constant rounds to nought, and a root's slack would vanish.
    """
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

    class Static(XNNPACKQuantizer):
        def transform_for_annotation(self, model: GraphModule) -> GraphModule:
            for node in model.graph.nodes:
                if node.op == "get_attr" and not node.meta.get(_MODULES) and node.users:
                    node.meta[_MODULES] = next(iter(node.users)).meta.get(_MODULES, {})
            return super().transform_for_annotation(model)

        def annotate(self, model: GraphModule) -> GraphModule:
            annotated = super().annotate(model)
            for node in annotated.graph.nodes:
                if node.target in _RELU6 and len(node.args[0].users) == 1:
                    _move_output(node.args[0], node)
                if _is_shift(node):
                    node.meta.pop(Q_ANNOTATION_KEY, None)
            return annotated

    return Static()


def _is_shift(node: Node) -> bool:
    """Whether it adds a constant, unlike residuals, which add two activations."""
    return node.target is torch.ops.aten.add.Tensor and any(
        isinstance(one, Node) and one.op == "get_attr" for one in node.args
    )


def _move_output(layer: Node, activation: Node) -> None:
    """Round what an activation gives, and no more what its layer gives to it."""
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

    own = layer.meta.get(Q_ANNOTATION_KEY)
    if own is None or own.output_qspec is None:
        return
    layer.meta[Q_ANNOTATION_KEY] = dataclasses.replace(own, output_qspec=None)
    activation.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
        output_qspec=own.output_qspec, _annotated=True
    )
