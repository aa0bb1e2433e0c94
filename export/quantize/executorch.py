"""The precisions of an ExecuTorch tower: quantised in PyTorch, before it is lowered.

``int8``
    Dynamic: matrix products and convolutions with weights in int8, a scale for each output
    channel, and activations rounded on the fly. Token embeddings are int8 with a scale for
    each row.
``int8-static``
    Weights and activations in int8, whose scales come from calibration.
"""

import copy
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from retrieval.spec.errors import ExportError

ExecuTorchPrecision = Literal["fp32", "int8", "int8-static"]

LARGEST_CODE = 127

TOWER = "tower"
"""Name of the tower in the graphs of `export.targets.graphs`."""


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
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    dynamic = precision == "int8"
    if not dynamic and (calibration is None or not len(calibration)):
        raise ExportError(
            "int8-static ExecuTorch files need calibration inputs to choose the scales of their "
            "activations; give some, or choose int8"
        )
    rows = example[None] if dynamic or calibration is None else torch.from_numpy(calibration)
    settings: Any = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=dynamic)
    program = torch.export.export(with_int8_rows(graph), (example,))
    # What is around the tower stays in float: it normalises pixels and embeddings.
    quantizer = XNNPACKQuantizer().set_module_name(TOWER, settings)
    watched = prepare_pt2e(program.module(), quantizer)
    for row in rows:
        watched(row.reshape(example.shape))
    quantised: nn.Module = convert_pt2e(watched)
    return quantised
