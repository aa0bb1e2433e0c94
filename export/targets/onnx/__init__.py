"""ONNX, for ONNX Runtime on every platform."""

from export.targets.onnx.graph import OPSET, serialise, trace
from export.targets.onnx.target import OnnxTarget

__all__ = ["OPSET", "OnnxTarget", "serialise", "trace"]
