"""A mobile bundle of a model that was never trained for it: small files, chosen tower by tower."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torch import nn

from export.bundle import add_files, check_target, pack_bundle
from export.files import Tell, remove
from export.quantize.calibration import Calibration
from export.report import of_files, read_report
from export.targets.registry import find_target, require_converters
from export.targets.support import refusal
from export.verify.outdated import save_changed
from retrieval.models.checkpoint import Checkpoint
from retrieval.spec.bundle import MANIFEST, Bundle, TowerFile
from retrieval.spec.defaults import UNKNOWN_LICENCE
from retrieval.spec.errors import ExportError
from retrieval.spec.files import swap_folder, write_json
from retrieval.spec.tower import TOWERS, Tower

MOBILE_FORMATS = ("onnx", "coreml", "litert")
"""For Android and the web, for iOS, for Android."""

FALL_BACK = "fp16"
"""Written beside the small files where recall is measured, and kept where they lose too much."""

Judge = Callable[[Path], Bundle]
"""Marks the files of a bundle that a host should open, and returns the manifest."""


def pack_mobile(
    source: Checkpoint,
    folder: Path,
    *,
    formats: Sequence[str],
    calibration: Calibration | None = None,
    judge: Judge | None = None,
    licence: str = UNKNOWN_LICENCE,
    tell: Tell = lambda doing: None,
) -> Bundle:
    """Write one small file of each tower in each format.

    Without a judge these are the smallest that are known to keep a tower's meaning. With one,
    fp16 files are written too, and what it recommends is kept; of a format that only a device
    runs the small files stay, of one where no pair is good enough the fp16 files.

    Args:
        source: A loaded model.
        folder: Where to write; an earlier bundle there is replaced, anything else is not.
        formats: Which targets to write.
        calibration: Photos with which convolutional towers run in int8 throughout.
        judge: Measures recall, such as `export.verify.save.recommend`.
        licence: Terms of the weights.
        tell: Told what is being done.

    Raises:
        ExportError: The folder holds something else, no format is named, a tower cannot be
            converted, or the result does not compute what the source does.
        MissingExtraError: The converter of a format is not installed.
        OSError: The disk is full or not writable; nothing is left behind.
    """
    folder = folder.absolute()
    check_target(folder)
    if not formats:
        raise ExportError("name a format to write, such as onnx")
    require_converters(formats)
    calibrated = calibration is not None and calibration.pixels is not None
    more = [FALL_BACK] if judge is not None else []
    wanted = {
        format: {
            tower: list(dict.fromkeys([name, *more]))
            for tower, name in mobile_precisions(source, format, calibrated=calibrated).items()
        }
        for format in formats
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as place:
        staged = Path(place) / folder.name
        bundle = _write(staged, source, wanted, calibration=calibration, licence=licence, tell=tell)
        if judge is not None:
            tell("measuring recall")
            bundle = _with_kept(staged, judge(staged))
        swap_folder(staged, folder)
    return bundle


def mobile_precisions(source: Checkpoint, format: str, *, calibrated: bool) -> Mapping[Tower, str]:
    """The smallest precision of each tower that is known to keep its meaning in a format.

    Convolutional image towers run in int8 throughout where there are photos to calibrate
    with; all else has int8 weights.
    """
    chosen: dict[Tower, str] = {}
    offered = find_target(format).precisions
    for tower in TOWERS:
        wanted = ["int8", FALL_BACK]
        if tower == "image" and calibrated and is_convolutional(source.model.image):
            wanted.insert(0, "int8-static")
        chosen[tower] = next(
            name
            for name in wanted
            if name in offered and not refusal(source.config, tower, format, name)
        )
    return chosen


def is_convolutional(tower: nn.Module) -> bool:
    """Whether most weights of a tower sit in convolutions rather than in linear maps.

    Convolutions that only cut an image into patches do not count.
    """
    weights = {nn.Conv2d: 0, nn.Linear: 0}
    for part in tower.modules():
        if isinstance(part, nn.Conv2d):
            cuts = part.kernel_size == part.stride and part.kernel_size != (1, 1)
            weights[nn.Conv2d] += 0 if cuts else part.weight.numel()
        elif isinstance(part, nn.Linear):
            weights[nn.Linear] += part.weight.numel()
    return weights[nn.Conv2d] > weights[nn.Linear]


def _write(
    folder: Path,
    source: Checkpoint,
    wanted: Mapping[str, Mapping[Tower, Sequence[str]]],
    *,
    calibration: Calibration | None,
    licence: str,
    tell: Tell,
) -> Bundle:
    """A bundle with precisions that differ from format to format."""
    first, *others = wanted
    bundle = pack_bundle(
        source, folder, formats=[first], image_precision=wanted[first]["image"],
        text_precision=wanted[first]["text"], calibration=calibration, licence=licence, tell=tell,
    )  # fmt: skip
    for format in others:
        bundle = add_files(
            folder, source, formats=[format], precisions=wanted[format],
            calibration=calibration, tell=tell,
        )  # fmt: skip
    return bundle


def _with_kept(folder: Path, bundle: Bundle) -> Bundle:
    """The manifest with the files that a host should open; the others are removed."""
    parity = read_report(folder)["parity"]
    kept = []
    for format in dict.fromkeys(file.format for file in bundle.files):
        files = [file for file in bundle.files if file.format == format]
        ran = all(parity[file.file]["min_cosine"] is not None for file in files)
        judged = any(file.recommended for file in files)
        for tower in TOWERS:
            own = [file for file in files if file.tower == tower]
            wanted = [
                file
                for file in own
                if (file.recommended if judged else (file.precision == FALL_BACK) == ran)
            ]
            kept += wanted or own
    return _without(folder, bundle, [file for file in bundle.files if file not in kept])


def _without(folder: Path, bundle: Bundle, dropped: Sequence[TowerFile]) -> Bundle:
    names = {file.file for file in dropped}
    for name in names:
        remove(folder / name)
    files = tuple(file for file in bundle.files if file.file not in names)
    changed = bundle.model_copy(update={"files": files})
    write_json(folder / MANIFEST, changed.model_dump(mode="json"))
    save_changed(folder, bundle, changed, of_files(read_report(folder), changed))
    return changed
