"""Photos decoded once: their pixels in mapped files, read again in every epoch and stage."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrieval.compress.cache.plan import PhotoKey
from retrieval.encode.batches import loaded_ahead
from retrieval.spec.errors import PhotoError
from retrieval.spec.files import replacing, sha256_json, write_json
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.decode import EXTENT, Box, open_photo

PART_BYTES = 64_000_000
"""Pixels of one file: what a killed run has to decode again."""

_AHEAD = 16

Progress = Callable[[int, int], None]
"""Called with the photos that are finished, and how many there are."""


class _Place(NamedTuple):
    part: Path
    offset: int
    width: int
    height: int
    extent: Box

    @property
    def bytes(self) -> int:
        return self.width * self.height * 3


class PixelStore:
    """Decoded photos, byte for byte what `open_photo` gives; so are views made of them.

    A photo that has changed since, that did not fit, or that cannot be decoded is not in it:
    `open` decodes its file then. Pixels lie in parts of ``PART_BYTES``; the list of what a
    part holds is written last, so a part without a list does not exist.

    Use `build` to make one.
    """

    def __init__(self, folder: Path, spec: Preprocessing, target: int) -> None:
        self.folder = folder / _name(spec, target)
        self.spec = spec
        self.target = target
        self.decoded = 0
        """Photos that the last `build` decoded."""
        self._places: dict[PhotoKey, _Place] = {}
        self._of_path: dict[Path, _Place] = {}
        self._maps: dict[Path, NDArray[np.uint8]] = {}

    @classmethod
    def build(
        cls,
        folder: Path,
        photos: Sequence[Path],
        spec: Preprocessing,
        *,
        target: int,
        limit: int,
        progress: Progress | None = None,
        part_bytes: int = PART_BYTES,
    ) -> "PixelStore":
        """Decode what is not there yet, as far as it fits.

        Args:
            folder: Where stores lie, one for each way to decode.
            photos: In any order.
            spec: Gives orientation and the colour below transparent pixels.
            target: As `open_photo` takes it.
            limit: Bytes that the store may have; never more than half of the free disk.
            progress: Called after each photo.
            part_bytes: Bytes after which a part is written.
        """
        store = cls(folder, spec, target)
        wanted = {PhotoKey.of(photo): photo for photo in photos}
        store._read(wanted)
        room = min(limit, store._bytes + shutil.disk_usage(_existing(folder)).free // 2)
        store._decode(
            {key: p for key, p in wanted.items() if key not in store._places},
            len(wanted),
            room,
            progress,
            part_bytes,
        )
        store._of_path = {
            photo: store._places[key] for key, photo in wanted.items() if key in store._places
        }
        return store

    def __len__(self) -> int:
        return len(self._of_path)

    def open(self, photo: Path) -> Image.Image:
        """A photo as `open_photo` gives it, from the store or else from its file.

        Raises:
            PhotoError: It is not in the store and cannot be decoded.
        """
        place = self._of_path.get(photo)
        if place is None:
            return _open(photo, self.spec, self.target)
        pixels = self._map(place.part)[place.offset : place.offset + place.bytes]
        image = Image.frombuffer("RGB", (place.width, place.height), pixels, "raw", "RGB", 0, 1)
        image.info = {EXTENT: place.extent}
        return image

    def remove(self) -> None:
        """Delete all files of the store."""
        self._maps.clear()
        self._places, self._of_path = {}, {}
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("*.pixels"))

    def _map(self, part: Path) -> NDArray[np.uint8]:
        if part not in self._maps:
            self._maps[part] = np.memmap(part, np.uint8, mode="r")
        return self._maps[part]

    def _read(self, wanted: dict[PhotoKey, Path]) -> None:
        """Find what is there; drop parts that hold nothing that is wanted any more."""
        for listed in sorted(self.folder.glob("*.json")):
            part = listed.with_suffix(".pixels")
            places = _places(listed, part)
            if wanted.keys() & places.keys():
                self._places |= places
            else:
                listed.unlink()
        for part in self.folder.glob("*.pixels"):
            if not part.with_suffix(".json").exists():
                part.unlink()

    def _decode(
        self,
        missing: dict[PhotoKey, Path],
        total: int,
        room: int,
        progress: Progress | None,
        part_bytes: int,
    ) -> None:
        part = _Part(self.folder, self._places)
        used, done = self._bytes, total - len(missing)
        for key, image in _decoded(missing, self.spec, self.target):
            done += 1
            if progress is not None:
                progress(done, total)
            if image is None:
                continue
            used += image.width * image.height * 3
            if used > room:
                break
            part.add(key, image)
            self.decoded += 1
            if part.bytes >= part_bytes:
                part.write()
        part.write()


class _Part:
    """Photos that wait to be written together."""

    def __init__(self, folder: Path, places: dict[PhotoKey, _Place]) -> None:
        self.folder = folder
        self.places = places
        self.bytes = 0
        self._waiting: list[tuple[PhotoKey, Image.Image]] = []

    def add(self, key: PhotoKey, image: Image.Image) -> None:
        self._waiting.append((key, image))
        self.bytes += image.width * image.height * 3

    def write(self) -> None:
        if not self._waiting:
            return
        part = self.folder / f"{sha256_json([key for key, _ in self._waiting])[:16]}.pixels"
        entries, offset = {}, 0
        with replacing(part) as temporary, temporary.open("wb") as stream:
            for key, image in self._waiting:
                entries[key] = _Place(part, offset, *image.size, image.info[EXTENT])
                offset += stream.write(image.tobytes())
        write_json(
            part.with_suffix(".json"), [[*key, *place[1:]] for key, place in entries.items()]
        )
        self.places |= entries
        self._waiting, self.bytes = [], 0


def _decoded(
    missing: dict[PhotoKey, Path], spec: Preprocessing, target: int
) -> Iterator[tuple[PhotoKey, Image.Image | None]]:
    """Photos in order, None for one that cannot be decoded; decoded by threads ahead of time."""
    # Whoever asks for a damaged one is told, when training comes to it.
    opened = loaded_ahead(missing.values(), lambda photo: _open(photo, spec, target), _AHEAD)
    for key, image in zip(missing, opened, strict=True):
        yield key, None if isinstance(image, PhotoError) else image


def _open(photo: Path, spec: Preprocessing, target: int) -> Image.Image:
    return open_photo(photo, target=target, exif_orientation=spec.exif_orientation, fill=spec.fill)


def _places(listed: Path, part: Path) -> dict[PhotoKey, _Place]:
    """What a part holds; nothing when it is not whole."""
    try:
        entries = json.loads(listed.read_text("utf-8"))
        places = {
            PhotoKey(*key): _Place(part, offset, width, height, tuple(extent))
            for *key, offset, width, height, extent in entries
        }
        whole = part.stat().st_size == max(
            (place.offset + place.bytes for place in places.values()), default=0
        )
    except (OSError, ValueError, TypeError, IndexError):
        return {}
    return places if whole else {}


def _name(spec: Preprocessing, target: int) -> str:
    """A store holds photos that were decoded in one way."""
    return sha256_json([target, spec.exif_orientation, spec.fill])[:12]


def _existing(folder: Path) -> Path:
    return next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
