"""Export targets by the name of their format; a new one is one folder and one line here."""

import importlib.util
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple, cast

from export.targets.target import Target
from retrieval.spec.errors import ExportError, MissingExtraError


class _Entry(NamedTuple):
    """Where a target lives, and what its converter needs."""

    module: str
    kind: str
    extra: str
    packages: tuple[str, ...]
    """Modules of the extra without which nothing can be converted."""


_TARGETS: dict[str, _Entry] = {
    "onnx": _Entry("export.targets.onnx", "OnnxTarget", "export", ("onnx", "onnxscript")),
    "coreml": _Entry("export.targets.coreml", "CoreMLTarget", "coreml", ("coremltools",)),
    "litert": _Entry(
        # Not its package: what the module imports imports others of that package.
        "export.targets.litert.target",
        "LiteRTTarget",
        "litert",
        ("litert_torch", "ai_edge_quantizer"),
    ),
    "executorch": _Entry(
        "export.targets.executorch", "ExecuTorchTarget", "executorch", ("executorch", "torchao")
    ),
}

FORMATS: tuple[str, ...] = tuple(_TARGETS)


def find_target(name: str) -> Target:
    """The target of a format; its converter is imported when it first traces or opens.

    Raises:
        ExportError: There is no such target.
    """
    entry = _entry(name)
    return cast(Callable[[], Target], getattr(import_module(entry.module), entry.kind))()


def require_converters(formats: Sequence[str]) -> None:
    """Refuse formats whose converter is not installed, all of them in one sentence.

    Raises:
        ExportError: There is no such format.
        MissingExtraError: Some of them cannot be written in this environment.
    """
    missing = {name: _entry(name).extra for name in formats if not _installed(_entry(name))}
    if missing:
        raise MissingExtraError(
            f"exporting to {' and '.join(missing)}", ",".join(sorted(set(missing.values())))
        )


def _entry(name: str) -> _Entry:
    if name not in _TARGETS:
        raise ExportError(f"cannot export to {name!r}; formats: {', '.join(FORMATS)}")
    return _TARGETS[name]


def _installed(entry: _Entry) -> bool:
    return all(importlib.util.find_spec(package) is not None for package in entry.packages)
