"""Runs one tower file of a bundle in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from export.targets.registry import FORMATS
from export.verify.golden_check import LENGTH_TOLERANCE
from export.verify.material import Material
from export.verify.one_file import ANSWER, VECTORS
from retrieval.encode.protocol import Embeddings
from retrieval.spec.bundle import Bundle, Interface, TowerFile

_DEVICES = {"coreml": "a Mac"}


@dataclass(frozen=True)
class Outcome:
    """What came of running a file.

    Attributes:
        vectors: Of all inputs; None where it did not run, or gave none that can be used.
        failure: What is wrong with the file.
        not_run: What it would need to run.
        ms: Median milliseconds of one row on one processor.
        peak_memory: Most bytes of the process: interpreter, runtime, file and one row.
        added_memory: Bytes of that since just before the file was opened.
    """

    vectors: Embeddings | None = None
    failure: str | None = None
    not_run: str | None = None
    ms: float | None = None
    peak_memory: int | None = None
    added_memory: int | None = None


def run_file(material: Material, file: TowerFile) -> Outcome:
    """Embed all inputs of its tower with one file; nothing that it does raises."""
    if file.format not in FORMATS:
        return Outcome(not_run=f"no {file.format} runtime is known here")
    with TemporaryDirectory(prefix="leanclip-verify-") as temporary:
        job = Path(temporary) / "job.json"
        asked = {
            "format": file.format,
            "path": str((material.folder / file.file).resolve()),
            "interface": interface_of(file, material.bundle).model_dump(mode="json"),
            "inputs": str(material.inputs[file.tower]),
        }
        job.write_text(json.dumps(asked), "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "export.verify.one_file", str(job)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": _path()},
            text=True,
            errors="replace",
        )
        answered = job.with_name(ANSWER)
        if done.returncode or not answered.is_file():
            return Outcome(failure=f"its process ended with {_ending(done)}")
        answer = json.loads(answered.read_text("utf-8"))
        return _outcome(answer, file, material, job.with_name(VECTORS))


def interface_of(file: TowerFile, bundle: Bundle) -> Interface:
    """How a file is called; old bundles of ONNX files do not say."""
    if file.interface is not None:
        return file.interface
    spec = bundle.preprocessing
    if file.tower == "text":
        return Interface(input="tokens", output="embedding", type=bundle.text.integer_type)
    return Interface(input="pixels", output="embedding", type=spec.pixel_type, layout=spec.layout)


def _outcome(answer: dict[str, Any], file: TowerFile, material: Material, path: Path) -> Outcome:
    if "error" in answer:
        return Outcome(**{"not_run" if answer["missing"] else "failure": answer["error"]})
    if not answer["runs"]:
        return Outcome(not_run=f"needs {_DEVICES.get(file.format, 'a device')}")
    vectors = np.load(path)
    return Outcome(
        vectors=vectors if (fault := _fault(vectors, file, material)) is None else None,
        failure=fault,
        ms=answer["ms"],
        peak_memory=answer["peak"],
        added_memory=answer["added"],
    )


def _fault(vectors: Embeddings, file: TowerFile, material: Material) -> str | None:
    """Why vectors are of no use at all."""
    rows, dim = len(material.rows(file.tower)), material.bundle.embedding_dim
    if vectors.shape != (rows, dim):
        shape = vectors.shape[1] if vectors.ndim == 2 and len(vectors) == rows else vectors.shape
        return f"it makes vectors of {shape} numbers, the bundle promises {dim}"
    bad = int((~np.isfinite(vectors).all(axis=1)).sum())
    if bad:
        return f"{bad} of its {rows} vectors are not finite"
    lengths = np.linalg.norm(vectors, axis=1)
    worst = float(lengths[np.abs(lengths - 1).argmax()])
    if abs(worst - 1) > LENGTH_TOLERANCE:
        return f"it makes vectors of length {worst:.3f}, not 1"
    return None


def _ending(done: subprocess.CompletedProcess[str]) -> str:
    last = (done.stderr.strip().splitlines() or [""])[-1]
    if done.returncode < 0:
        return f"{signal.Signals(-done.returncode).name} {last}".strip()
    return f"status {done.returncode}: {last}"


def _path() -> str:
    # So that the child finds the same packages as its parent, wherever it was started from.
    return os.pathsep.join(entry for entry in sys.path if entry)
