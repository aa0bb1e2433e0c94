"""Where everything lies in the output folder, and how a shard comes into its place."""

import errno
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from retrieval.compress.cache.layout import Shard, shard_label
from retrieval.spec.base import Spec
from retrieval.spec.errors import CacheError
from retrieval.spec.files import umask
from retrieval.spec.reasons import first_line

HOME = "embedding"
SUMMARY = "summary.json"
IMAGES = "images.npy"
TEXTS = "texts.npy"
METADATA = "metadata.parquet"

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)


class Skipped(Spec):
    """A photo that has no row."""

    photo: str
    why: str


class Summary(Spec):
    """What became of one shard."""

    shard: int
    source: str
    rows: int
    skipped: tuple[Skipped, ...] = ()
    seconds: float


class OutputFolder:
    """Paths of an output folder.

    ``img_emb``, ``text_emb``, ``metadata`` and the indexes are what other tools read. In
    ``embedding`` lie the plan and a folder for each shard that is done.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.home = path / HOME
        self.plan = self.home / "plan.json"
        self.shards = self.home / "shards"

    def listing(self, number: int) -> Path:
        """Names of the photos of a shard that is a piece of a folder."""
        return self.home / "listings" / f"{number}.json"

    def index(self, side: str) -> Path:
        """The index of ``image`` or ``text``."""
        return self.path / f"{side}.index"

    def shard(self, number: int, count: int) -> Shard:
        """The files of a shard as other tools read them; some may not be there."""
        return Shard(self.path, shard_label(number, count))

    def done(self, number: int) -> Path:
        """The folder that exists only when a shard is embedded."""
        return self.shards / str(number)

    def summary(self, number: int) -> Summary | None:
        """What became of a shard; None when it is not yet done.

        Raises:
            CacheError: The summary is damaged.
        """
        path = self.done(number) / SUMMARY
        try:
            return Summary.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            first = first_line(error)
            raise CacheError(
                f"{path} is damaged ({first}); remove {path.parent} and run again"
            ) from error

    def commit(self, number: int, write: Callable[[Path], None]) -> bool:
        """Let ``write`` fill a folder, and make it the shard's in one step.

        The first of several attempts wins; what the others wrote is removed.

        Returns:
            Whether this attempt won.

        Raises:
            OSError: The disk is full or read-only.
        """
        self.shards.mkdir(parents=True, exist_ok=True)
        attempt = Path(tempfile.mkdtemp(prefix=f".{number}.", dir=self.shards))
        try:
            write(attempt)
            attempt.chmod(0o777 & ~umask())
            # Renaming onto a folder that holds something fails, on every system.
            attempt.rename(self.done(number))
        except OSError as error:
            if error.errno in _TAKEN or self.done(number).exists():
                return False
            raise
        finally:
            shutil.rmtree(attempt, ignore_errors=True)
        return True

    def publish(self, number: int, count: int) -> None:
        """Move the files of a shard that is done to where other tools look for them.

        Each is moved whole; killed in between, the next call moves the rest.

        Raises:
            CacheError: A file is at neither place.
        """
        summary = self.summary(number)
        if summary is None or summary.rows == 0:
            return
        shard = self.shard(number, count)
        places = {IMAGES: shard.images, TEXTS: shard.texts, METADATA: shard.metadata}
        for name, place in places.items():
            place_from = self.done(number) / name
            if place_from.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):  # A second run moved it just now.
                    place_from.replace(place)
        for place in (shard.images, shard.metadata):
            if not place.exists():
                raise CacheError(
                    f"{place} is missing; remove {self.done(number)} and run again, which embeds "
                    "that shard anew"
                )

    def remove_attempts(self) -> None:
        """Remove what killed workers left; no other run may be at work."""
        for attempt in self.shards.glob(".*"):
            shutil.rmtree(attempt, ignore_errors=True)
