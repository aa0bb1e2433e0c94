"""LiteRT (TensorFlow Lite), for Android and other small devices."""

from export.targets.litert.target import LiteRTTarget

__all__ = ["LiteRTTarget"]
