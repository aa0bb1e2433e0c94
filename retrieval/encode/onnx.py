"""The default back end: a bundle's ONNX towers in ONNX Runtime, without torch."""

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from retrieval.encode.of_bundle import OfBundle
from retrieval.encode.protocol import Embeddings, Pixels
from retrieval.encode.sessions import open_session
from retrieval.language.opening import open_tokenizer
from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.bundle import check_file, read_bundle
from retrieval.spec.errors import BundleError
from retrieval.spec.preprocessing import Preprocessing
from retrieval.spec.reasons import in_one_line
from retrieval.spec.tower import Tower

MAX_BATCH = 4
"""Rows that one call of a tower takes; more are split.

On processors, what one layer hands to the next should stay in the cache: MobileNetV2 takes a
fifth less time in fours than in batches of 32.
"""

ACTIVATIONS = "activations"
"""Key in an ONNX file's metadata: the type in which a tower computes."""
DYNAMIC = "dynamic int8"
"""Its value in towers that choose one int8 scale for a whole batch: an embedding would
depend on its neighbours, so they run row by row."""


class OnnxEncoder(OfBundle):
    """Both towers of a bundle; each is read, and its hash checked, when it is first needed.

    Args:
        folder: The bundle.
        threads: Threads for one tower; None lets ONNX Runtime take all processors.

    Raises:
        BundleError: The folder is no bundle, or of a newer format. A tower file that is
            missing or damaged is reported when it is first needed.
    """

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        super().__init__(read_bundle(folder))
        self.folder = folder
        self._threads = threads
        self._towers: dict[str, _Tower] = {}
        self._lock = threading.Lock()

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return open_tokenizer(self.bundle.text, self.folder)

    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        return self._run("image", as_input(pixels, self.preprocessing))

    def encode_sentences(self, sentences: Sequence[str]) -> Embeddings:
        return self._run("text", self.tokenizer.batch(sentences))

    def _run(self, tower: Tower, inputs: NDArray[np.generic]) -> Embeddings:
        if len(inputs) == 0:
            return np.empty((0, self.dim), np.float32)
        with self._lock:
            if tower not in self._towers:
                self._towers[tower] = self._load(tower)
        return self._towers[tower].run(inputs)

    def _load(self, tower: Tower) -> "_Tower":
        path = check_file(self.folder, self.bundle.file(tower, "onnx"))
        loaded = _Tower(path, self._threads)
        if loaded.dim != self.dim:
            raise BundleError(
                f"{path} makes vectors of {loaded.dim} numbers, the bundle promises {self.dim}"
            )
        return loaded


class _Tower:
    """One session and how many rows it may be given at once."""

    def __init__(self, path: Path, threads: int | None) -> None:
        try:
            self._session = open_session(path, threads=threads)
        except Exception as error:  # ONNX Runtime raises plain subclasses of Exception.
            reason = in_one_line(error)
            raise BundleError(
                f"{path} cannot be loaded by ONNX Runtime {ort.__version__}: {reason}"
            ) from error
        self.dim: int = self._session.get_outputs()[0].shape[-1]
        self._input = self._session.get_inputs()[0].name
        metadata = self._session.get_modelmeta().custom_metadata_map
        self._rows = 1 if metadata.get(ACTIVATIONS) == DYNAMIC else MAX_BATCH

    def run(self, inputs: NDArray[np.generic]) -> Embeddings:
        starts = range(0, len(inputs), self._rows)
        parts = [
            self._session.run(None, {self._input: inputs[start : start + self._rows]})[0]
            for start in starts
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def as_input(pixels: Pixels, spec: Preprocessing) -> NDArray[np.generic]:
    """Pixels as `retrieval.vision` makes them, in the form that the exported tower takes.

    Args:
        pixels: uint8 RGB ``(batch, 3, size, size)``.
        spec: Its channel order, layout and pixel type are applied.
    """
    if spec.channel_order == "BGR":
        pixels = pixels[:, ::-1]
    if spec.layout == "NHWC":
        pixels = pixels.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pixels, dtype=spec.pixel_type)
