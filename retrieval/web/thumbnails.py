"""Small pictures of photos, made once and kept on disk."""

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal, get_args

from PIL import Image

from retrieval.spec.errors import PhotoError
from retrieval.vision.decode import open_photo
from retrieval.web.cache import FileCache
from retrieval.web.errors import GoneError
from retrieval.web.photos import CataloguedPhoto

Size = Literal["small", "medium", "large"]
SIZES: tuple[Size, ...] = get_args(Size)
CONTENT_TYPE = "image/jpeg"

# Two, because a photo of 200 megapixels takes 600 MB while it is decoded.
_THREADS = 2
_QUALITY = {"small": 78, "medium": 80, "large": 86}
# Widest and highest, in pixels: a row of the grid, the same on a sharp display, a window.
_BOUNDS = {"small": (900, 240), "medium": (1800, 480), "large": (2048, 2048)}


@dataclass(frozen=True, slots=True)
class ThumbnailCounts:
    """What was asked for since the server started."""

    kept: int
    """Answered from the disk."""
    made: int


class Thumbnails:
    """Thumbnails of one library's photos, each made once however often it is asked for."""

    def __init__(self, cache: FileCache) -> None:
        self._cache = cache
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="thumbnail")
        self._making: dict[str, asyncio.Future[bytes]] = {}
        self.counts = ThumbnailCounts(0, 0)

    async def get(self, photo: CataloguedPhoto, size: Size, moment_ms: int | None = None) -> bytes:
        """A JPEG that fits the bounds of ``size``, upright, without metadata.

        Args:
            photo: A photo or a video.
            size: Which bounds.
            moment_ms: The moment of a video; None for a typical one.

        Raises:
            GoneError: The file is not the one that was catalogued.
            PhotoError: It cannot be decoded.
        """
        named = f"{photo.id} {photo.version} {size} {moment_ms}"
        key = hashlib.sha256(named.encode()).hexdigest()
        making = self._making.get(key)
        if making is None:
            loop = asyncio.get_running_loop()
            making = loop.run_in_executor(
                self._pool, self._find_or_make, key, photo, size, moment_ms
            )
            self._making[key] = making
            making.add_done_callback(lambda _: self._making.pop(key, None))
        # One visitor who leaves must not cancel it for the others.
        return await asyncio.shield(making)

    def close(self) -> None:
        """Finish the pictures at hand and drop those that wait."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _find_or_make(
        self, key: str, photo: CataloguedPhoto, size: Size, moment_ms: int | None
    ) -> bytes:
        # A photo that was deleted must not live on as its thumbnail.
        photo.open().close()
        found = self._cache.get(key)
        if found is not None:
            self.counts = ThumbnailCounts(self.counts.kept + 1, self.counts.made)
            return found
        made = _make(photo.path, size, moment_ms)
        # Between the two looks at the file, its name may have meant another one.
        photo.open().close()
        self._cache.put(key, made)
        self.counts = ThumbnailCounts(self.counts.kept, self.counts.made + 1)
        return made


def _make(path: Path, size: Size, moment_ms: int | None) -> bytes:
    bounds = _BOUNDS[size]
    try:
        picture = open_photo(path, target=min(bounds), moment_ms=moment_ms)
    except PhotoError as error:
        if not path.exists():
            raise GoneError("the photo can no longer be read") from error
        raise
    picture.thumbnail(bounds, Image.Resampling.LANCZOS)
    picture.info.clear()
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY[size], progressive=size == "large")
    return buffer.getvalue()
