"""Karpathy's split of COCO and Flickr30k, as he published it, and as captioned photos."""

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from retrieval.corpora.fetch.datasets import Dataset, Split
from retrieval.spec.errors import CorpusError
from retrieval.spec.files import write_text

PHOTOS: Final = "images"
"""Folder of the photos of a data set that has them all in one."""

# What he calls restval are photos of COCO's validation set that everybody trains on.
_SPLITS: Final = {"train": "train", "restval": "train", "val": "dev", "test": "test"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo and its captions.

    Attributes:
        split: ``train``, ``dev`` or ``test``.
        captions: As people wrote them.
        places: Paths below the folder of the data set at which the photo may lie, the usual
            one first.
    """

    split: str
    captions: tuple[str, ...]
    places: tuple[str, ...]

    def found(self, folder: Path) -> str | None:
        """The place at which the photo lies; None when it lies nowhere."""
        return next((place for place in self.places if (folder / place).is_file()), None)


def read_entries(archive: Path, dataset: Dataset) -> list[Entry]:
    """Read a data set's part of Karpathy's archive.

    Raises:
        CorpusError: The archive is damaged, lacks the data set, or holds other numbers of
            photos and captions than the data set has.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            names = [
                name for name in packed.namelist() if PurePosixPath(name).parts[0] != "__MACOSX"
            ]
            member = next(one for one in names if PurePosixPath(one).name == dataset.member)
            content = json.loads(packed.read(member))
        entries = [_entry(image) for image in content["images"]]
    except StopIteration:
        raise CorpusError(f"{archive}: there is no {dataset.member} in it") from None
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{archive} is damaged ({error!r}); delete it and run again") from error
    _require_sizes(archive, dataset, entries)
    return entries


def write_pairs(folder: Path, entries: Iterable[Entry]) -> dict[str, Path]:
    """Write ``train.jsonl``, ``dev.jsonl`` and ``test.jsonl``, each whole or not at all.

    Raises:
        CorpusError: A photo is missing.
    """
    lines: dict[str, list[str]] = {}
    for entry in entries:
        place = entry.found(folder)
        if place is None:
            raise CorpusError(f"{folder / entry.places[0]}: no such photo; run it again")
        line = json.dumps({"image": place, "captions": entry.captions}, ensure_ascii=False)
        lines.setdefault(entry.split, []).append(line + "\n")
    written = {}
    for split, content in lines.items():
        written[split] = folder / f"{split}.jsonl"
        write_text(written[split], "".join(content))
    return written


def _entry(image: Mapping[str, Any]) -> Entry:
    captions = (" ".join(one["raw"].split()) for one in image["sentences"])
    return Entry(
        split=_SPLITS[image["split"]],
        captions=tuple(caption for caption in captions if caption),
        places=_places(image),
    )


def _places(image: Mapping[str, Any]) -> tuple[str, ...]:
    # Only the name, so that nothing in the file can point outside the folder.
    name = PurePosixPath(image["filename"]).name
    if "filepath" not in image:
        return (f"{PHOTOS}/{name}",)
    number = f"{int(image['cocoid']):012}.jpg"
    years = (f"train2017/{number}", f"val2017/{number}")
    return (f"{PurePosixPath(image['filepath']).name}/{name}", *years)


def _require_sizes(archive: Path, dataset: Dataset, entries: Sequence[Entry]) -> None:
    for name, expected in dataset.splits.items():
        of_split = [entry for entry in entries if entry.split == name]
        found = Split(len(of_split), sum(len(entry.captions) for entry in of_split))
        if found != expected:
            raise CorpusError(
                f"{archive}: its {name} split has {found.photos:,} photos and {found.captions:,} "
                f"captions, and {dataset.title} has {expected.photos:,} and "
                f"{expected.captions:,}; it is not Karpathy's"
            )
