"""ONNX files of towers, each made once for all rows that share it."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from export.targets.graphs import image_graph, text_graph
from export.targets.onnx.traced import OnnxTraced
from export.verify import golden_inputs
from export.verify.golden import golden_pixels
from retrieval.encode.onnx import as_input
from retrieval.models.checkpoint import Checkpoint, load_checkpoint
from retrieval.models.sparse.file import pack_weights
from retrieval.models.sparse.storage import Storage
from retrieval.spec.files import replacing, sha256_json, write_json
from retrieval.spec.tower import TOWERS, Tower

FILES = "towers.json"

_FOLDER = "towers"
_SPARSE = Storage(values="int8", layout="smallest")


def export_towers(checkpoint: Path, out: Path, *, sparse: bool) -> None:
    """Write both towers in fp16 (or as trained) and in int8, and which files they are.

    Files are shared by towers of one shape, since bytes and milliseconds depend on little
    else. An int8 file of an image tower belongs to its weights, because a converter leaves
    convolutions in float16 where eight bits cost too much.

    Args:
        checkpoint: Gets ``towers.json`` beside it.
        out: Folder of the study, for the files.
        sparse: Also count the bytes of a sparse checkpoint with eight-bit values.

    Raises:
        LeanclipError: The checkpoint is damaged or a tower cannot be converted.
    """
    target = checkpoint.parent / FILES
    if target.is_file():
        return
    source = load_checkpoint(checkpoint)
    files: dict[str, Any] = {
        tower: {
            "shipped": _file(source, tower, "trained" if _trained(source, tower) else "fp16", out),
            "int8": _file(source, tower, "int8", out),
        }
        for tower in TOWERS
    }
    if sparse:
        files["bytes_sparse"] = len(pack_weights(source.model.state_dict(), _SPARSE))
    write_json(target, files)


def tower_file(out: Path, name: str) -> Path:
    """Where a tower that ``towers.json`` names lies."""
    return out / _FOLDER / name


def _trained(source: Checkpoint, tower: Tower) -> bool:
    grids = source.config.quantisation
    return grids is not None and grids.only([tower]) is not None


def _file(
    source: Checkpoint, tower: Tower, precision: Literal["fp16", "int8", "trained"], out: Path
) -> str:
    """Name of the file of a tower, made if it is not there."""
    config = source.config
    shape = config.model_dump(mode="json", include={tower, "preprocessing", "embedding_dim"})
    parts = [tower, precision, shape, config.tokens.model_dump(mode="json")]
    if precision == "trained" or (precision == "int8" and tower == "image"):
        parts.append(source.fingerprint)
    name = f"{tower}-{sha256_json(parts)[:16]}-{precision}.onnx"
    path = tower_file(out, name)
    if not path.is_file():
        graph = image_graph(source.model) if tower == "image" else text_graph(source.model)
        traced = OnnxTraced(source.model, tower, graph, _inputs(source, tower), metadata={})
        with replacing(path) as temporary:
            temporary.write_bytes(traced.make(precision).data)
    return name


def _inputs(source: Checkpoint, tower: Tower) -> NDArray[np.generic]:
    if tower == "text":
        return source.tokenizer.batch(golden_inputs.SENTENCES)
    spec = source.config.preprocessing
    return as_input(golden_pixels([jpeg for _, jpeg in golden_inputs.photos()], spec), spec)
