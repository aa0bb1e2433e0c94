"""Core ML files run by Core ML itself, which is a part of macOS."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.targets.coreml.converter import coremltools, quiet
from export.targets.target import Inputs, Run
from retrieval.spec.bundle import Interface
from retrieval.spec.errors import BundleError
from retrieval.spec.reasons import in_one_line


def open_package(path: Path, interface: Interface) -> Run:
    """A function that runs a ``.mlpackage`` row by row.

    Raises:
        BundleError: Core ML cannot load the file.
        MissingExtraError: coremltools is not installed.
    """
    ct = coremltools()
    try:
        with quiet():
            model = ct.models.MLModel(str(path), compute_units=ct.ComputeUnit.ALL)
    except Exception as error:  # Core ML's errors have no type of their own in Python.
        reason = in_one_line(error)
        raise BundleError(f"Core ML cannot load {path}: {reason}") from error

    def run(inputs: Inputs) -> NDArray[np.float32]:
        rows = [
            model.predict({interface.input: feature(row, interface)})[interface.output]
            for row in inputs
        ]
        embeddings: NDArray[np.float32] = np.concatenate(rows).astype(np.float32)
        return embeddings

    return run


def feature(row: Inputs, interface: Interface) -> Image.Image | NDArray[np.int32]:
    """One row as Core ML takes it: an image object, or token ids ``(1, context)``."""
    if interface.type == "image":
        return Image.fromarray(np.ascontiguousarray(row.transpose(1, 2, 0), np.uint8), "RGB")
    return row[None].astype(np.int32)
