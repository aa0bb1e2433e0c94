"""What ONNX Runtime makes of a graph before it runs it."""

from pathlib import Path

import onnx
import onnxruntime as ort

from export.targets.onnx import serialise


def optimised(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """The graph with its operations fused, as it was written to ``path``."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    ort.InferenceSession(serialise(model), options, providers=["CPUExecutionProvider"])
    return onnx.load(path)
