"""The towers as ML programs, which iOS and macOS run on their processor, GPU or Neural Engine.

A phone hands an image tower a plain ``CVPixelBuffer``: scaling, bias and normalising are
inside. All precisions but ``fp32`` compute in float16, unless a tower's numbers outgrow it.
"""

import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from export.quantize.coreml import compress, stored_weights
from export.quantize.kept import note_trained
from export.targets.coreml.converter import EXTRA, coremltools, quiet
from export.targets.coreml.description import describe
from export.targets.coreml.graph import (
    EMBEDDING,
    IMAGE,
    TOKENS,
    coreml_graph,
    graph_input,
    scaling,
)
from export.targets.coreml.magnitudes import LARGEST_HALF, Magnitude, largest_value
from export.targets.coreml.package import discard, save_package
from export.targets.coreml.running import open_package
from export.targets.graphs import exportable
from export.targets.target import Conversion, Run, Traced, Written
from retrieval.spec.bundle import Format, Interface, Precision
from retrieval.spec.errors import ExportError, LeanclipError
from retrieval.spec.reasons import first_line

DEPLOYMENT = "iOS17"
"""Deployment target of every file, by its name in ``coremltools.target``."""
REQUIRES = "iOS 17 or macOS 14"

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8", "pal8", "pal6", "pal4")


class CoreMLTarget:
    """ML programs of a batch of one, for iOS 17 and macOS 14."""

    format: Format = "coreml"
    suffix = ".mlpackage"
    extra = EXTRA
    precisions: tuple[str, ...] = PRECISIONS

    def refuses(self, conversion: Conversion, precision: str) -> str | None:
        if precision in PRECISIONS:
            return None
        return f"Core ML files have no {precision} weights; choose {', '.join(PRECISIONS)}"

    def trace(self, conversion: Conversion) -> Traced:
        coremltools()
        graph = coreml_graph(conversion.graph)
        rows = [graph_input(row, conversion.preprocessing, graph) for row in conversion.examples]
        try:
            with exportable(graph):
                program = torch.export.export(graph, (rows[0],)).run_decompositions({})
                largest = largest_value(program, rows)
        except LeanclipError:
            raise
        except Exception as error:  # The tracer's errors have many types, some of them private.
            raise _cannot(conversion, error) from error
        return TracedProgram(conversion, program, largest)

    def open(self, path: Path, interface: Interface) -> Run | None:
        return open_package(path, interface) if sys.platform == "darwin" else None


class TracedProgram:
    """A tower in PyTorch's exported form, converted once for each type that it computes in.

    Args:
        conversion: Where it comes from.
        program: The tower as `coreml_graph` calls it, for a batch of one.
        largest: The largest number in it.
    """

    def __init__(
        self, conversion: Conversion, program: torch.export.ExportedProgram, largest: Magnitude
    ) -> None:
        self.conversion = conversion
        self.program = program
        self.largest = largest
        self._converted = cache(self._convert)

    def write(self, path: Path, precision: str) -> Written:
        if refused := CoreMLTarget().refuses(self.conversion, precision):
            raise ExportError(refused)
        half = precision != "fp32" and self.largest.fits_half
        if precision == "fp16" and not half:
            raise ExportError(
                f"the {self.conversion.tower} tower reaches {self.largest.value:,.0f} in "
                f"{self.largest.layer}, more than float16 holds ({LARGEST_HALF:,.0f}); ask for "
                "fp32 or int8, which then compute in float32"
            )
        full = self._converted(half)
        with quiet():
            model = compress(full, precision)
            kept = self._trained(model, precision)
            describe(model, self.conversion, precision=precision, requires=REQUIRES)
            save_package(model, path)
        if model is not full:
            discard(model)
        return Written(
            precision=next(known for known in PRECISIONS if known == precision),
            interface=self._interface(),
            notes=self._notes(half) | kept,
        )

    def _trained(self, model: Any, precision: str) -> dict[str, Any]:
        if precision in ("fp32", "fp16"):
            return {}
        return note_trained(self.conversion.model, self.conversion.tower, stored_weights(model))

    def _interface(self) -> Interface:
        image = self.conversion.tower == "image"
        return Interface(
            input=IMAGE if image else TOKENS,
            output=EMBEDDING,
            type="image" if image else "int32",
            batch=1,
            requires=REQUIRES,
        )

    def _notes(self, half: bool) -> dict[str, Any]:
        return {
            "deployment_target": DEPLOYMENT,
            "compute_units": "all",
            "compute_precision": "float16" if half else "float32",
            "largest_value": {"value": self.largest.value, "layer": self.largest.layer},
            "coremltools": coremltools().__version__,
            "torch": torch.__version__,
        }

    def _convert(self, half: bool) -> Any:
        """An ML program with float weights."""
        ct = coremltools()
        precision = ct.precision.FLOAT16 if half else ct.precision.FLOAT32
        try:
            with quiet(), torch.inference_mode():
                return ct.convert(
                    self.program,
                    convert_to="mlprogram",
                    inputs=[self._input_type(ct)],
                    outputs=[ct.TensorType(name=EMBEDDING, dtype=np.float32)],
                    minimum_deployment_target=getattr(ct.target, DEPLOYMENT),
                    compute_precision=precision,
                    compute_units=ct.ComputeUnit.ALL,
                    skip_model_load=True,
                )
        except OSError:
            raise
        except Exception as error:  # Every converter of an operation raises what it likes.
            raise _cannot(self.conversion, error) from error

    def _input_type(self, ct: Any) -> Any:
        if self.conversion.tower == "text":
            context = self.conversion.model.config.tokens.context_length
            return ct.TensorType(name=TOKENS, shape=(1, context), dtype=np.int32)
        spec = self.conversion.preprocessing
        scale, bias, _ = scaling(spec)
        return ct.ImageType(
            name=IMAGE,
            shape=(1, 3, spec.size, spec.size),
            scale=scale,
            bias=list(bias),
            color_layout=ct.colorlayout.RGB,
        )


def _cannot(conversion: Conversion, error: Exception) -> ExportError:
    reason = first_line(error)
    return ExportError(f"the {conversion.tower} tower cannot become a Core ML file: {reason}")
