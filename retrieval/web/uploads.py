"""Photos that a visitor searches with: checked, made small, kept for a while."""

import asyncio
import secrets
import tempfile
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from retrieval.spec.errors import PhotoError
from retrieval.vision.decode import open_photo
from retrieval.web.errors import GoneError, UploadError

# Times the pixels that the model takes; resized to them, nobody sees the first resizing.
_MARGIN = 4


class Uploads:
    """The last photos that visitors uploaded, under names that nobody can guess.

    One at a time is decoded, so that many uploads cost the memory of one. Nothing but the
    small copy is kept, until the server stops or newer ones take its place.
    """

    def __init__(self, *, side: int, most_pixels: int, kept: int = 64) -> None:
        """Check uploads.

        Args:
            side: Pixels that the model takes on each side.
            most_pixels: Width times height that is still decoded.
            kept: How many are kept; the oldest makes room.
        """
        self._side = side
        self._most_pixels = most_pixels
        self._most = kept
        self._temporary = tempfile.TemporaryDirectory(prefix="leanclip-uploads-")
        self.folder = Path(self._temporary.name)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="upload")
        self._kept: OrderedDict[str, Path] = OrderedDict()

    async def add(self, content: bytes) -> str:
        """Take an uploaded file; the name under which `path` finds its small copy.

        Raises:
            UploadError: It is no photo, damaged, or has more pixels than are decoded.
        """
        loop = asyncio.get_running_loop()
        name = secrets.token_urlsafe(16)
        self._kept[name] = await loop.run_in_executor(self._pool, self._shrink, name, content)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)[1].unlink(missing_ok=True)
        return name

    def path(self, name: str) -> Path:
        """The small copy.

        Raises:
            GoneError: There is none of this name, or not any longer.
        """
        if name not in self._kept:
            raise GoneError("the photo that you searched with is gone: choose it again")
        return self._kept[name]

    def close(self) -> None:
        """Remove all of them."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._temporary.cleanup()

    def _shrink(self, name: str, content: bytes) -> Path:
        given = self.folder / f"{name}.upload"
        kept = given.with_suffix(".png")
        try:
            given.write_bytes(content)
            photo = open_photo(
                given, target=self._side * _MARGIN // 2, max_pixels=self._most_pixels
            )
        except PhotoError as error:
            # The visitor knows the photo by another name than the server does.
            reason = str(error).replace(str(given), "this file").partition(": make it smaller")[0]
            raise UploadError(reason) from error
        finally:
            given.unlink(missing_ok=True)
        wanted = self._side * _MARGIN
        # By the short side: of a panorama, the middle must keep what the model looks at.
        shorter = min(photo.size)
        if shorter > wanted:
            scale = wanted / shorter
            size = (round(photo.width * scale), round(photo.height * scale))
            photo = photo.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        photo.info.clear()
        photo.save(kept, "PNG", compress_level=1)
        return kept
