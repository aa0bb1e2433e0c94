"""What the core asks the platform for, answered by Pillow and ONNX Runtime."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

from retrieval.spec.bundle import read_bundle
from tests.e2e.android.android_core import argb


class Host:
    """Decodes photos and runs a bundle's ONNX files; subclasses misbehave."""

    def __init__(self, folder: Path) -> None:
        self.bundle = read_bundle(folder)
        self.folder = folder
        self.loaded: list[tuple[str, str]] = []
        self._sessions: dict[str, ort.InferenceSession] = {}

    def __call__(self, question: dict[str, Any]) -> dict[str, Any]:
        if question["ask"] == "decode":
            return decoded(base64.b64decode(question["jpeg"]))
        file, delegate = question["file"], question["delegate"]
        if question["ask"] == "load":
            self.loaded.append((file, delegate))
            return self.load(file, delegate)
        return {"embedding": self.embedding(file, delegate, base64.b64decode(question["input"]))}

    def load(self, file: str, delegate: str) -> dict[str, Any]:
        return {"loaded": file}

    def embedding(self, file: str, delegate: str, data: bytes) -> list[float]:
        if file not in self._sessions:
            self._sessions[file] = _session(self.folder / file)
        session = self._sessions[file]
        given = {session.get_inputs()[0].name: self.tensor(file, data)}
        found: list[float] = session.run(None, given)[0][0].tolist()
        return found

    def tensor(self, file: str, data: bytes) -> NDArray[np.generic]:
        tower = next(entry.tower for entry in self.bundle.files if entry.file == file)
        if tower == "text":
            return np.frombuffer(data, np.int32).reshape(1, -1)
        size = self.bundle.preprocessing.size
        return np.frombuffer(data, np.uint8).reshape(1, 3, size, size)


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # As the Python encoder runs it, with which results are compared.
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def decoded(jpeg: bytes) -> dict[str, Any]:
    """A photo as it is stored, and how it is to be turned."""
    with Image.open(io.BytesIO(jpeg)) as photo:
        return argb(photo) | {"orientation": photo.getexif().get(0x0112, 1)}
