"""What a model is, in the words of a list: towers, bytes, recall, terms."""

import json
from dataclasses import dataclass
from typing import Any

from retrieval.hub.store import InstalledModel
from retrieval.spec.bundle import Bundle
from retrieval.spec.files import size_of
from retrieval.spec.tower import TOWERS, Tower
from retrieval.spec.ways import WAYS

"""Directions of search, as reports name them."""

_REPORT = "report.json"


@dataclass(frozen=True, slots=True)
class Recall:
    """Recall@10 of a bundle's own report, from 0 to 1."""

    text_to_image: float
    image_to_text: float
    photos: int | None
    """How many were searched; None where the report does not say."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One model of a list."""

    model: InstalledModel
    bundle: Bundle
    towers: dict[Tower, int]
    """Bytes of the file that this machine opens, or of the smallest one."""
    bytes: int
    """Of the whole folder."""
    recall: Recall | None
    """None where its report has none."""

    @property
    def formats(self) -> tuple[str, ...]:
        """Formats of its files, in the order of the manifest."""
        return tuple(dict.fromkeys(file.format for file in self.bundle.files))


def summary_of(model: InstalledModel) -> Summary:
    """Read what a list says of a model.

    Raises:
        BundleError: Its manifest is damaged.
    """
    bundle = model.bundle
    return Summary(
        model,
        bundle,
        {tower: _bytes(bundle, tower) for tower in TOWERS},
        size_of(model.folder),
        _recall(model),
    )


def _bytes(bundle: Bundle, tower: Tower) -> int:
    own = [file for file in bundle.files if file.tower == tower]
    opened = [file for file in own if file.format == "onnx"] or own
    return min(opened, key=lambda file: (not file.recommended, file.bytes)).bytes if opened else 0


def _recall(model: InstalledModel) -> Recall | None:
    try:
        report = json.loads((model.folder / _REPORT).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    verified = _at(report, "verification")
    pairs = _at(verified, "pairs")
    for pair in pairs if isinstance(pairs, list) else ():
        if _at(pair, "opened") is True and _at(pair, "format") == "onnx":
            return _measured(_at(pair, "loss", "recall"), _at(verified, "photos"))
    trained = _at(report, "metrics", "dev")
    return _measured(trained, _at(trained, "photos"))


def _measured(recall: Any, photos: Any) -> Recall | None:
    found = [_at(recall, way, "recall@10") for way in WAYS]
    if not all(isinstance(one, float | int) for one in found):
        return None
    return Recall(float(found[0]), float(found[1]), photos if isinstance(photos, int) else None)


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
