"""ExecuTorch (``.pte``), lowered to XNNPACK: PyTorch's own way onto phones.

A batch of one in every file. An image tower takes uint8 pixels in the layout of its
preprocessing, a text tower int32 ids; both return float32. What XNNPACK does not know runs in
ExecuTorch's portable kernels.
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from export.quantize.executorch import ExecuTorchPrecision, quantise
from export.targets.arranged import arranged, arranged_for
from export.targets.graphs import ImageGraph, exportable
from export.targets.quiet import silenced
from export.targets.support import refusal
from export.targets.target import Conversion, Inputs, Run, Written
from retrieval.spec.bundle import Format, Interface
from retrieval.spec.errors import BundleError, ExportError, MissingExtraError
from retrieval.spec.files import replacing
from retrieval.spec.reasons import first_line, in_one_line

EXTRA = "executorch"

METHOD = "forward"
METADATA = "leanclip"
"""A second method of the program, which returns JSON with what the bundle says of the tower."""
CHANNEL_ORDER = "channel_order"


class ExecuTorchTarget:
    """``.pte`` programs for XNNPACK."""

    format: Format = "executorch"
    suffix = ".pte"
    extra = EXTRA
    precisions: tuple[str, ...] = get_args(ExecuTorchPrecision)

    def refuses(self, conversion: Conversion, precision: str) -> str | None:
        if precision not in self.precisions:
            forms = ", ".join(self.precisions)
            return f"ExecuTorch files have no {precision} form; choose {forms}"
        return refusal(conversion.model.config, conversion.tower, self.format, precision)

    def trace(self, conversion: Conversion) -> "ExecuTorchTraced":
        _runtime()
        return ExecuTorchTraced(conversion)

    def open(self, path: Path, interface: Interface) -> Run:
        """Run a file in ExecuTorch's runtime for Python, on one thread.

        Raises:
            BundleError: The runtime cannot load it.
            MissingExtraError: The runtime is not installed.
        """
        runtime = _runtime()
        from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool

        try:
            with silenced():
                # For all files of the process; it is unsafe only while one of them runs.
                _unsafe_reset_threadpool(1)
                program = runtime.load_program(path.read_bytes())
                program.load_method(METHOD)
                metadata = json.loads(program.load_method(METADATA).execute([])[0])
        except Exception as error:  # The runtime raises RuntimeError, KeyError and others.
            reason = in_one_line(error)
            raise BundleError(
                f"{path} cannot be loaded by ExecuTorch: {reason}; export it again"
            ) from error
        reverse = metadata.get(CHANNEL_ORDER) == "BGR"

        def run(inputs: Inputs) -> NDArray[np.float32]:
            rows = arranged(inputs, interface, reverse=reverse)
            # Asked of the program each time, since a method does not keep its program alive.
            method = program.load_method(METHOD)
            # The runtime writes each result over the one before.
            found = [method.execute([torch.from_numpy(row[None])])[0].clone() for row in rows]
            embeddings: NDArray[np.float32] = torch.cat(found).numpy()
            return embeddings

        return run


class ExecuTorchTraced:
    """A tower that is lowered anew for each precision, since it is quantised before.

    Args:
        conversion: Where it comes from.

    Raises:
        ExportError: PyTorch cannot trace it.
    """

    def __init__(self, conversion: Conversion) -> None:
        self.conversion = conversion
        image = isinstance(conversion.graph, ImageGraph)
        self.interface = Interface(
            input="pixels" if image else "tokens",
            output="embedding",
            type="uint8" if image else "int32",
            layout=conversion.preprocessing.layout if image else None,
            batch=1,
        )
        self.example = torch.from_numpy(self._rows(conversion.examples[:1]))
        try:
            with exportable(conversion.graph), silenced():
                torch.export.export(conversion.graph, (self.example,))
        except Exception as error:  # Tracing raises errors of many kinds.
            raise _cannot(conversion, error) from error

    def write(self, path: Path, precision: str) -> Written:
        """Write one file.

        Raises:
            ExportError: The precision is refused or needs calibration inputs that are missing,
                or the file does not run.
        """
        if refused := ExecuTorchTarget().refuses(self.conversion, precision):
            raise ExportError(refused)
        known = next(known for known in get_args(ExecuTorchPrecision) if known == precision)
        try:
            with exportable(self.conversion.graph), silenced():
                data = self._lower(known)
                # What a runtime lacks shows only when it runs.
                program = _runtime().load_program(data)
                program.load_method(METHOD).execute([self.example])
        except (OSError, ExportError):
            raise
        except Exception as error:  # Every pass of the converter raises what it likes.
            raise _cannot(self.conversion, error) from error
        with replacing(path) as temporary:
            temporary.write_bytes(data)
        notes = {name: version(name) for name in ("executorch", "torch")}
        return Written(precision=known, interface=self.interface, notes=notes)

    def _lower(self, precision: ExecuTorchPrecision) -> bytes:
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        graph: torch.nn.Module = self.conversion.graph
        if precision != "fp32":
            calibration = self.conversion.calibration
            rows = None if calibration is None else self._rows(calibration)
            graph = quantise(graph, precision, self.example, calibration=rows)
        lowered = to_edge_transform_and_lower(
            torch.export.export(graph, (self.example,)),
            partitioner=[XnnpackPartitioner()],
            constant_methods={METADATA: json.dumps(self._metadata())},
        )
        return bytes(lowered.to_executorch().buffer)

    def _metadata(self) -> dict[str, str]:
        metadata = dict(self.conversion.metadata)
        if self.interface.layout is not None:
            metadata[CHANNEL_ORDER] = self.conversion.preprocessing.channel_order
        return metadata

    def _rows(self, inputs: Inputs) -> Inputs:
        return arranged_for(self.conversion, inputs, self.interface)


def _runtime() -> Any:
    """ExecuTorch's runtime, which one process has once."""
    try:
        with silenced():
            from executorch.runtime import Runtime
    except ImportError as error:
        raise MissingExtraError("an ExecuTorch file", EXTRA) from error
    return Runtime.get()


def _cannot(conversion: Conversion, error: Exception) -> ExportError:
    reason = first_line(error)
    return ExportError(f"the {conversion.tower} tower cannot become ExecuTorch: {reason}")
