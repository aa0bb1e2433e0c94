"""Core ML: ML programs (``.mlpackage``) for iOS and macOS."""

from export.targets.coreml.target import CoreMLTarget

__all__ = ["CoreMLTarget"]
