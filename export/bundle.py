"""From a model to a bundle: one folder that every host reads, written whole or not at all."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from export.conversions import conversions
from export.files import PackedFile, Tell, remove, write_files
from export.plan import Precisions, check_files, plan_files
from export.quantize.calibration import Calibration
from export.report import REPORT, make_report, read_report
from export.verify.golden import make_golden
from export.verify.outdated import save_changed
from retrieval.encode.torch import TorchEncoder
from retrieval.models.checkpoint import Checkpoint
from retrieval.models.dual_encoder import parameter_count
from retrieval.spec.bundle import GOLDEN, MANIFEST, Bundle, read_bundle
from retrieval.spec.defaults import UNKNOWN_LICENCE
from retrieval.spec.errors import ExportError
from retrieval.spec.files import replacing_folder, sha256_file, sha256_json, write_json
from retrieval.spec.tower import TOWERS, Tower

MODEL_CARD = "README.md"


def pack_bundle(
    source: Checkpoint,
    folder: Path,
    *,
    formats: Sequence[str] = ("onnx",),
    precision: Precisions = None,
    image_precision: Precisions = None,
    text_precision: Precisions = None,
    calibration: Calibration | None = None,
    licence: str = UNKNOWN_LICENCE,
    training_data: Sequence[str] = (),
    model_card: Path | None = None,
    tell: Tell = lambda doing: None,
) -> Bundle:
    """Export both towers and write ``bundle.json`` and everything that it names.

    The folder appears only after every file that this machine can run agreed with PyTorch
    and passed the bundle's own golden test.

    Args:
        source: A loaded checkpoint.
        folder: Where to write; an earlier bundle there is replaced, anything else is not.
        formats: Which targets to write.
        precision: One or several, of both towers, unless one of the next two says otherwise.
            By default ``trained`` for a checkpoint that was quantised in training, where the
            format has it, else ``fp16``.
        image_precision: Of the image tower.
        text_precision: Of the text tower.
        calibration: Inputs for precisions that need them.
        licence: Terms of the weights, for ``bundle.json`` and the tower files.
        training_data: Names of the data that the weights have seen.
        model_card: A Markdown file to carry as ``README.md``.
        tell: Told what is being done.

    Raises:
        ExportError: The folder holds something else, a tower cannot be converted, or the
            result does not compute what the source does.
        MissingExtraError: The converter of a format is not installed.
        OSError: The disk is full or not writable; nothing is left behind.
    """
    folder = folder.absolute()
    check_target(folder)
    if model_card is not None and not model_card.is_file():
        raise ExportError(f"there is no model card at {model_card}")
    asked: dict[Tower, Precisions] = {
        "image": image_precision or precision,
        "text": text_precision or precision,
    }
    wanted = plan_files(formats, asked, quantised=source.config.quantisation is not None)
    truth = TorchEncoder(source)
    towers = conversions(source, TOWERS, licence=licence, calibration=calibration)
    check_files(wanted, towers)
    with replacing_folder(folder) as temporary:
        packed = write_files(temporary, towers, wanted, tell=tell)
        golden = temporary / GOLDEN
        golden.write_text(make_golden(truth).model_dump_json() + "\n", "utf-8")
        bundle = Bundle(
            name=source.config.name,
            embedding_dim=source.config.embedding_dim,
            files=tuple(one.entry for one in packed),
            preprocessing=source.config.preprocessing,
            text=source.tokenizer.save(temporary),
            golden_sha256=sha256_file(golden),
            fingerprint=source.fingerprint,
            licence=licence,
            training_data=tuple(training_data),
            recipe_sha256=sha256_json(source.recipe) if source.recipe is not None else None,
            provenance={"parameters": parameter_count(source.model), "torch": torch.__version__},
        )
        write_json(temporary / MANIFEST, bundle.model_dump(mode="json"))
        if model_card is not None:
            (temporary / MODEL_CARD).write_bytes(model_card.read_bytes())
        earlier = {"metrics": dict(source.metrics)}
        report = make_report(
            temporary, bundle, packed, source.tokenizer, earlier=earlier, tell=tell
        )
        write_json(temporary / REPORT, report)
    return bundle


def add_files(
    folder: Path,
    source: Checkpoint,
    *,
    formats: Sequence[str] = ("onnx",),
    precisions: Mapping[Tower, Precisions],
    calibration: Calibration | None = None,
    tell: Tell = lambda doing: None,
) -> Bundle:
    """Add files to a bundle of the same model; those of the same name are replaced.

    The bundle is changed only after the new files passed what `pack_bundle` asks of them.

    Args:
        folder: The bundle.
        source: The checkpoint that it was exported from.
        formats: Which targets to write.
        precisions: What is asked of each tower; towers that are left out get no file.
        calibration: Inputs for precisions that need them.
        tell: Told what is being done.

    Returns:
        The manifest with the new files at its end.

    Raises:
        BundleError: There is no bundle.
        ExportError: It belongs to another model, its report is damaged, or a file cannot be
            made as in `pack_bundle`.
        MissingExtraError: The converter of a format is not installed.
        OSError: The disk is full or not writable; the bundle stays as it was.
    """
    folder = folder.absolute()
    old = read_bundle(folder)
    if old.fingerprint != source.fingerprint:
        raise ExportError(
            f"{folder} holds another model than the checkpoint (fingerprints "
            f"{old.fingerprint[:8]} and {source.fingerprint[:8]}); export to a folder of its own"
        )
    wanted = plan_files(formats, precisions, quantised=source.config.quantisation is not None)
    chosen = [tower for tower in TOWERS if tower in precisions]
    towers = conversions(source, chosen, licence=old.licence, calibration=calibration)
    check_files(wanted, towers)
    with replacing_folder(folder) as temporary:
        shutil.copytree(folder, temporary, dirs_exist_ok=True)
        packed = write_files(temporary, towers, wanted, tell=tell)
        bundle = _with_files(temporary, old, packed)
        write_json(temporary / MANIFEST, bundle.model_dump(mode="json"))
        earlier = read_report(temporary)
        report = make_report(
            temporary, bundle, packed, source.tokenizer, earlier=earlier, tell=tell
        )
        save_changed(temporary, old, bundle, report)
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


def _with_files(folder: Path, old: Bundle, packed: Sequence[PackedFile]) -> Bundle:
    """The manifest with new files, and the folder without those that they replace."""
    new = [one.entry for one in packed]
    replaced = {(file.tower, file.format, file.precision) for file in new}
    kept = [file for file in old.files if (file.tower, file.format, file.precision) not in replaced]
    named = {file.file for file in (*kept, *new)}
    for file in old.files:
        if file.file not in named:
            remove(folder / file.file)
    return old.model_copy(update={"files": (*kept, *new)})
