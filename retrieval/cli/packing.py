"""What ``leanclip export`` and ``leanclip import`` have in common."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from export.bundle import REPORT
from export.quantize.onnx import OnnxPrecision
from retrieval.spec.bundle import Bundle, TowerFile
from retrieval.spec.errors import ExportError

FORMATS = ("onnx",)


class Precision(StrEnum):
    """Choices of ``--precision``."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    TRAINED = "trained"

    @property
    def onnx(self) -> OnnxPrecision:
        """The same, as the exporter names it."""
        return self.value


def check_formats(formats: str) -> None:
    """Refuse formats that cannot be written.

    Raises:
        ExportError: ``formats``, separated by commas, names one.
    """
    for name in formats.split(","):
        if name.strip() not in FORMATS:
            raise ExportError(f"cannot export to {name.strip()!r}; formats: {', '.join(FORMATS)}")


def print_bundle(folder: Path, bundle: Bundle, *, as_json: bool) -> None:
    """Print what was written: a table for people, or JSON alone on standard output."""
    report = json.loads((folder / REPORT).read_text("utf-8"))
    cosines = [_cosine(report, file) for file in bundle.files]
    if as_json:
        files = [
            file.model_dump(mode="json") | {"cosine": cosine}
            for file, cosine in zip(bundle.files, cosines, strict=True)
        ]
        summary = {"bundle": str(folder), "fingerprint": bundle.fingerprint, "files": files}
        json.dump(summary, sys.stdout)
        print()
        return
    table = Table(title=f"{bundle.name} in {folder}", title_justify="left")
    for heading in ("tower", "format", "precision", "MB", "cosine to PyTorch", "file"):
        table.add_column(heading, justify="right" if heading == "MB" else "left")
    for file, cosine in zip(bundle.files, cosines, strict=True):
        size, close = f"{file.bytes / 1e6:.2f}", f"{cosine:.6f}"
        table.add_row(file.tower, file.format, file.precision, size, close, file.file)
    Console().print(table)
    print("The bundle passes its golden self-test.")


def _cosine(report: dict[str, Any], file: TowerFile) -> float:
    return float(report["parity"][file.tower][file.precision]["min_cosine"])
