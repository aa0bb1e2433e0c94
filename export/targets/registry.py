"""Export targets by the name of their format; a new one is one file and one line here."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from export.targets.target import Target
from retrieval.spec.errors import ExportError

_TARGETS: dict[str, tuple[str, str]] = {
    "onnx": ("export.targets.onnx", "OnnxTarget"),
    "coreml": ("export.targets.coreml", "CoreMLTarget"),
    "litert": ("export.targets.litert", "LiteRTTarget"),
}

FORMATS: tuple[str, ...] = tuple(_TARGETS)


def find_target(name: str) -> Target:
    """The target of a format; its converter is imported when it first traces or opens.

    Raises:
        ExportError: There is no such target.
    """
    if name not in _TARGETS:
        raise ExportError(f"cannot export to {name!r}; formats: {', '.join(FORMATS)}")
    module, kind = _TARGETS[name]
    return cast(Callable[[], Target], getattr(import_module(module), kind))()
