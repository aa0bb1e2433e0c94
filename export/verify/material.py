"""What every file of a bundle is given: awkward golden inputs, then captioned photos."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.targets.target import Inputs
from export.verify.golden import Golden, golden_pixels, read_golden
from retrieval.corpora.pairs import CaptionedPhoto, flatten_captions
from retrieval.encode.batches import Advance, loaded_ahead
from retrieval.language.opening import open_tokenizer
from retrieval.spec.bundle import Bundle, check_file, read_bundle
from retrieval.spec.errors import EvaluationError, PhotoError
from retrieval.spec.preprocessing import Preprocessing
from retrieval.spec.tower import Tower
from retrieval.vision.preprocess import load_pixels

_AHEAD = 64


@dataclass(frozen=True)
class Material:
    """Inputs of both towers; the golden ones come first.

    Attributes:
        folder: The bundle.
        bundle: Its manifest; all files were found to be what it promises.
        golden: Inputs with expected outputs.
        sentences: Golden sentences, then captions.
        photo_of_caption: ``(captions,)``, rows counted from the first captioned photo.
        unreadable: Why photos were left out, with their captions.
        inputs: Files with the inputs of each tower, as `numpy.save` writes them.
        skipped: How many of a tower's inputs are golden ones.
    """

    folder: Path
    bundle: Bundle
    golden: Golden
    sentences: list[str]
    photo_of_caption: NDArray[np.int64]
    unreadable: list[str]
    inputs: dict[Tower, Path]
    skipped: dict[Tower, int]

    def rows(self, tower: Tower) -> Inputs:
        """All inputs of a tower, read from the disk as they are used."""
        rows: Inputs = np.load(self.inputs[tower], mmap_mode="r")
        return rows

    @property
    def photos(self) -> int:
        """Captioned photos."""
        return int(self.photo_of_caption[-1]) + 1

    @property
    def captions(self) -> int:
        """Their captions."""
        return len(self.photo_of_caption)


@contextmanager
def gathered(
    folder: Path,
    pairs: Sequence[CaptionedPhoto],
    *,
    golden: Golden | None = None,
    advance: Advance | None = None,
) -> Iterator[Material]:
    """Check a bundle's files and prepare all inputs; they lie on the disk within the body.

    Args:
        folder: The bundle.
        pairs: As `read_pairs` gives them.
        golden: Used instead of the bundle's own.
        advance: Called with the photos that were just finished.

    Raises:
        BundleError: The bundle, its golden file or one of its files is missing or damaged.
        EvaluationError: None of the photos can be decoded.
    """
    bundle = read_bundle(folder)
    for file in bundle.files:
        check_file(folder, file)
    golden = golden or read_golden(folder)
    tokenizer = open_tokenizer(bundle.text, folder)
    jpegs = [base64.b64decode(photo.jpeg) for photo in golden.photos]
    first = golden_pixels(jpegs, bundle.preprocessing)
    with TemporaryDirectory(prefix="leanclip-verify-") as temporary:
        pixels, ids = Path(temporary) / "pixels.npy", Path(temporary) / "ids.npy"
        kept, unreadable = _write_pixels(pixels, first, pairs, bundle.preprocessing, advance)
        captions, owner = flatten_captions([pairs[index] for index in kept])
        sentences = [sentence.text for sentence in golden.sentences] + captions
        np.save(ids, tokenizer.batch(sentences))
        yield Material(
            folder=folder,
            bundle=bundle,
            golden=golden,
            sentences=sentences,
            photo_of_caption=np.array(owner, np.int64),
            unreadable=unreadable,
            inputs={"image": pixels, "text": ids},
            skipped={"image": len(first), "text": len(golden.sentences)},
        )


def _write_pixels(
    path: Path,
    first: NDArray[np.uint8],
    pairs: Sequence[CaptionedPhoto],
    spec: Preprocessing,
    advance: Advance | None,
) -> tuple[list[int], list[str]]:
    """Which photos could be decoded, and why the others could not."""
    shape = (len(first) + len(pairs), *first.shape[1:])
    # Thousands of photos do not fit into memory at a time, and a file of zeros costs nothing.
    room = path.with_suffix(".all.npy")
    rows: np.memmap[Any, Any] = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
        room, "w+", np.uint8, shape
    )
    rows[: len(first)] = first
    kept: list[int] = []
    unreadable: list[str] = []
    loaded = loaded_ahead(
        [pair.image for pair in pairs], lambda one: load_pixels(one, spec), _AHEAD
    )
    for index, pixels in enumerate(loaded):
        if isinstance(pixels, PhotoError):
            unreadable.append(str(pixels))
        else:
            rows[len(first) + len(kept)] = pixels
            kept.append(index)
        if advance is not None:
            advance(1)
    if not kept:
        reason = f"; the first: {unreadable[0]}" if unreadable else ""
        raise EvaluationError(f"none of the photos can be decoded{reason}")
    if unreadable:
        np.save(path, rows[: len(first) + len(kept)])
    else:
        rows.flush()
        room.rename(path)
    return kept, unreadable
