"""From a model to a bundle: one folder that every host reads, written whole or not at all."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch

from export.quantize.onnx import OnnxPrecision
from export.targets.onnx import OPSET
from export.towers import ConvertedTower, convert_tower
from export.verify import golden_inputs
from export.verify.golden import GOLDEN, golden_pixels, make_golden
from export.verify.golden_check import check_golden
from retrieval.encode.onnx import OnnxEncoder, as_input
from retrieval.encode.torch import TorchEncoder
from retrieval.models.checkpoint import Checkpoint
from retrieval.models.dual_encoder import parameter_count
from retrieval.spec.bundle import MANIFEST, Bundle, TowerFile
from retrieval.spec.errors import ExportError
from retrieval.spec.files import replacing_folder, sha256_file, sha256_json, write_json
from retrieval.spec.tower import Tower

REPORT = "report.json"
MODEL_CARD = "README.md"
UNKNOWN_LICENCE = "unknown"


def pack_bundle(
    source: Checkpoint,
    folder: Path,
    *,
    precision: OnnxPrecision | None = None,
    image_precision: OnnxPrecision | None = None,
    text_precision: OnnxPrecision | None = None,
    licence: str = UNKNOWN_LICENCE,
    training_data: Sequence[str] = (),
    model_card: Path | None = None,
) -> Bundle:
    """Export both towers and write ``bundle.json`` and everything that it names.

    The folder appears only after the bundle passed its own golden test.

    Args:
        source: A loaded checkpoint.
        folder: Where to write; an earlier bundle there is replaced, anything else is not.
        precision: Of both towers, unless one of the next two says otherwise. By default
            ``trained`` for a checkpoint that was quantised in training, else ``fp16``.
        image_precision: Of the image tower.
        text_precision: Of the text tower.
        licence: Terms of the weights, for ``bundle.json`` and the ONNX files.
        training_data: Names of the data that the weights have seen.
        model_card: A Markdown file to carry as ``README.md``.

    Raises:
        ExportError: The folder holds something else, a tower cannot be converted, or the
            result does not compute what the source does.
        OSError: The disk is full or not writable; nothing is left behind.
    """
    folder = folder.absolute()
    check_target(folder)
    if model_card is not None and not model_card.is_file():
        raise ExportError(f"there is no model card at {model_card}")
    truth = TorchEncoder(source)
    precision = precision or ("trained" if source.config.quantisation else "fp16")
    precisions: dict[Tower, OnnxPrecision] = {
        "image": image_precision or precision,
        "text": text_precision or precision,
    }
    converted = _convert(source, precisions, licence)
    with replacing_folder(folder) as temporary:
        files = tuple(_write_tower(temporary, *item) for item in converted.items())
        bundle = Bundle(
            name=source.config.name,
            embedding_dim=source.config.embedding_dim,
            files=files,
            preprocessing=source.config.preprocessing,
            text=source.tokenizer.save(temporary),
            fingerprint=source.fingerprint,
            licence=licence,
            training_data=tuple(training_data),
            recipe_sha256=sha256_json(source.recipe) if source.recipe is not None else None,
            provenance=_provenance(source),
        )
        write_json(temporary / MANIFEST, bundle.model_dump(mode="json"))
        (temporary / GOLDEN).write_text(make_golden(truth).model_dump_json() + "\n", "utf-8")
        if model_card is not None:
            (temporary / MODEL_CARD).write_bytes(model_card.read_bytes())
        write_json(temporary / REPORT, _report(temporary, bundle, source, converted))
    return bundle


def check_target(folder: Path) -> None:
    """Refuse to replace anything but an earlier bundle.

    Raises:
        ExportError: Something else is there.
    """
    if not os.path.lexists(folder) or (folder / MANIFEST).is_file():
        return
    if folder.is_dir() and not any(folder.iterdir()):
        return
    raise ExportError(f"{folder} exists and is not a bundle; name another folder or remove it")


def _convert(
    source: Checkpoint, precisions: dict[Tower, OnnxPrecision], licence: str
) -> dict[Tower, ConvertedTower]:
    spec = source.config.preprocessing
    jpegs = [jpeg for _, jpeg in golden_inputs.photos()]
    inputs: dict[Tower, np.ndarray[Any, Any]] = {
        "image": as_input(golden_pixels(jpegs, spec), spec),
        "text": source.tokenizer.batch(golden_inputs.SENTENCES),
    }
    metadata = {
        "name": source.config.name,
        "fingerprint": source.fingerprint,
        "licence": licence,
    }
    return {
        tower: convert_tower(
            source.model,
            tower,
            inputs[tower],
            precision=precisions[tower],
            metadata=metadata | {"tower": tower},
        )
        for tower in inputs
    }


def _write_tower(folder: Path, tower: Tower, converted: ConvertedTower) -> TowerFile:
    path = folder / "onnx" / f"{tower}.onnx"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(converted.data)
    return TowerFile(
        tower=tower,
        format="onnx",
        precision=converted.precision,
        file=path.relative_to(folder).as_posix(),
        sha256=sha256_file(path),
        bytes=path.stat().st_size,
    )


def _provenance(source: Checkpoint) -> dict[str, Any]:
    return {
        "parameters": parameter_count(source.model),
        "exporter": "torch.onnx",
        "opset": OPSET,
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        "onnxruntime": ort.__version__,
    }


def _report(
    folder: Path, bundle: Bundle, source: Checkpoint, converted: dict[Tower, ConvertedTower]
) -> dict[str, Any]:
    """What ``report.json`` says; running the golden test is part of making it."""
    golden = check_golden(OnnxEncoder(folder), folder)
    if golden.failures:
        raise ExportError(
            f"the exported bundle fails {len(golden.failures)} of its golden tests; "
            f"the first: {golden.failures[0]}"
        )
    return {
        "parity": {tower: item.report for tower, item in converted.items()},
        "golden": golden.model_dump(mode="json"),
        "bytes": {file.file: file.bytes for file in bundle.files},
        "metrics": dict(source.metrics),
    }
