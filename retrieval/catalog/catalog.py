"""The catalog: which photos exist, and which row of which vector file is theirs.

SQLite is the truth. A vector that no committed row points at does not exist, so whatever a
killed run left at the end of a vector file is overwritten by the next one.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.catalog.database import Record
from retrieval.catalog.records import (
    FoundPhoto,
    KnownPhoto,
    PhotoDetails,
    PhotoFile,
    PhotoState,
    Space,
    SpaceCount,
    range_below,
    to_bytes,
    to_path,
)
from retrieval.catalog.roots import Roots
from retrieval.spec.errors import CatalogError

CATALOG_FILE = "catalog.sqlite3"
# SQLite takes a limited number of values for one statement.
_VARIABLES = 10_000
_DETAILS = tuple(field.name for field in fields(PhotoDetails))
_NO_DETAILS = PhotoDetails()
_SPACE_COLUMNS = "id, fingerprint, model, source, dim, whole_at"

Rows = NDArray[np.int64]


class Catalog(Roots):
    """One open catalog; use it as a context manager and from one thread."""

    # -- embedding spaces ---------------------------------------------------------------

    def space(self, fingerprint: str) -> Space | None:
        """The embedding space of one model, if photos were ever indexed with it."""
        found = self.read(f"SELECT {_SPACE_COLUMNS} FROM spaces WHERE fingerprint = ?", fingerprint)
        return Space(*found[0]) if found else None

    def ensure_space(self, fingerprint: str, model: str, source: str | None, dim: int) -> Space:
        """The space of a model, added when new; its source is brought up to date.

        Raises:
            CatalogError: The catalog holds vectors of another length for this fingerprint.
        """
        with self.writing():
            self.write(
                "INSERT INTO spaces (fingerprint, model, source, dim) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (fingerprint) DO UPDATE SET model = excluded.model, "
                "source = coalesce(excluded.source, source)",
                fingerprint,
                model,
                source,
                dim,
            )
            space = self.space(fingerprint)
        if space is None or space.dim != dim:
            raise CatalogError(
                f"{self.path}: {model} gives vectors of length {dim}, those indexed under its "
                "fingerprint have another; its bundle is damaged"
            )
        return space

    def serving(self) -> Space | None:
        """The space that answers when no model is named: the one last made whole.

        While another model's space is being filled, this one goes on serving.
        """
        found = self.read(
            f"SELECT {_SPACE_COLUMNS} FROM spaces ORDER BY whole_at IS NULL, whole_at DESC, id"
        )
        return Space(*found[0]) if found else None

    def mark_if_whole(self, space: Space) -> bool:
        """Let ``space`` serve if every photo that can be read has its vector there."""
        serving = self.serving()
        if serving is not None and serving.id == space.id and serving.whole_at is not None:
            return True
        with self.writing():
            missing = self.read(
                "SELECT 1 FROM photos WHERE state = 'ready' AND gone_at IS NULL AND NOT EXISTS "
                "(SELECT 1 FROM vectors WHERE photo_id = photos.id AND space_id = ?) LIMIT 1",
                space.id,
            )
            if missing:
                return False
            self.write(
                # Two spaces made whole within one second still have an order.
                "UPDATE spaces SET whole_at = "
                "max(?, coalesce((SELECT max(whole_at) FROM spaces WHERE id != ?) + 1, 0)) "
                "WHERE id = ?",
                _now(),
                space.id,
                space.id,
            )
        return True

    # -- photos -------------------------------------------------------------------------

    def known_photos(self, place: Path, space: Space) -> dict[bytes, KnownPhoto]:
        """All photos ever seen below a folder, or the one of that name, by stored path."""
        found = self.read(
            "SELECT path, id, size, mtime_ns, state, gone_at IS NOT NULL, EXISTS "
            "(SELECT 1 FROM vectors WHERE photo_id = photos.id AND space_id = ?) "
            "FROM photos WHERE path = ? OR path >= ? AND path < ?",
            space.id,
            to_bytes(place),
            *range_below(place),
        )
        return {
            path: KnownPhoto(id, size, mtime_ns, state, bool(gone), bool(has_vector))
            for path, id, size, mtime_ns, state, gone, has_vector in found
        }

    def record_photo(
        self,
        file: PhotoFile,
        space: Space,
        row: int,
        *,
        details: PhotoDetails = _NO_DETAILS,
        moments: Sequence[int | None] = (None,),
    ) -> int:
        """Say that ``row`` of the space's vectors is this photo; inside `writing`.

        Vectors of the photo's earlier content stop to count, in every space.

        Args:
            file: The file.
            space: Whose vectors.
            row: The photo's first row; a video's further moments follow it.
            details: What the file says of itself.
            moments: For each row, where in a video its frame lies, in milliseconds.

        Returns:
            The photo's id.
        """
        before = self.read(
            "SELECT id FROM photos WHERE path = ? AND size = ? AND mtime_ns = ?",
            to_bytes(file.path),
            file.size,
            file.mtime_ns,
        )
        photo_id = self._upsert(file, "ready", None, details)
        self._bury(photo_id, space if before else None)
        self.write_many(
            "INSERT INTO vectors (space_id, row, photo_id, moment_ms) VALUES (?, ?, ?, ?)",
            [(space.id, row + i, photo_id, moment) for i, moment in enumerate(moments)],
        )
        return photo_id

    def record_skipped(self, file: PhotoFile, why: str, state: PhotoState) -> None:
        """Remember why a file has no vector; inside `writing`."""
        self._bury(self._upsert(file, state, why, _NO_DETAILS), None)

    def mark_gone(self, photo_ids: Iterable[int]) -> None:
        """Take photos whose file vanished out of all results; inside `writing`.

        Their vectors stay, so a drive that comes back costs no encoding.
        """
        ids = [(i,) for i in photo_ids]
        self.write_many(f"UPDATE photos SET gone_at = {_now()} WHERE id = ?", ids)
        self.write_many("UPDATE vectors SET live = 0 WHERE photo_id = ?", ids)

    def restore(self, photo_ids: Iterable[int]) -> None:
        """Undo `mark_gone` for photos that came back unchanged; inside `writing`."""
        ids = [(i,) for i in photo_ids]
        self.write_many("UPDATE photos SET gone_at = NULL WHERE id = ?", ids)
        self.write_many("UPDATE vectors SET live = 1 WHERE photo_id = ?", ids)

    def _upsert(
        self, file: PhotoFile, state: PhotoState, error: str | None, details: PhotoDetails
    ) -> int:
        found = self.read(
            f"INSERT INTO photos (path, size, mtime_ns, state, error, {', '.join(_DETAILS)}) "
            f"VALUES (?, ?, ?, ?, ?{', ?' * len(_DETAILS)}) "
            "ON CONFLICT (path) DO UPDATE SET size = excluded.size, "
            "mtime_ns = excluded.mtime_ns, state = excluded.state, error = excluded.error, "
            f"gone_at = NULL, {', '.join(f'{name} = excluded.{name}' for name in _DETAILS)} "
            "RETURNING id",
            to_bytes(file.path),
            file.size,
            file.mtime_ns,
            state,
            error,
            *astuple(details),
        )
        return int(found[0][0])

    def _bury(self, photo_id: int, space: Space | None) -> None:
        # A row without a photo is a tombstone for good; compaction may drop it.
        self.write(
            "UPDATE vectors SET live = 0, photo_id = NULL WHERE photo_id = ?1 "
            "AND (?2 IS NULL OR space_id = ?2)",
            photo_id,
            space.id if space else None,
        )

    # -- vectors ------------------------------------------------------------------------

    def row_count(self, space: Space) -> int:
        """Rows of the space's vector file that count; whatever follows them does not."""
        found = self.read(
            "SELECT coalesce(max(row) + 1, 0) FROM vectors WHERE space_id = ?", space.id
        )
        return int(found[0][0])

    def excluded_rows(self, space: Space) -> Rows:
        """Rows of changed and vanished photos, which no search may return."""
        found = self.read(
            # SQLite would rather walk over all rows, most of which are alive.
            "SELECT row FROM vectors INDEXED BY vectors_not_live WHERE space_id = ? AND live = 0",
            space.id,
        )
        return _rows(found)

    def photos_at(self, rows: Sequence[int], space: Space) -> dict[int, FoundPhoto]:
        """The photos at some rows, by row."""
        found: list[Record] = []
        for start in range(0, len(rows), _VARIABLES):
            some = rows[start : start + _VARIABLES]
            marks = ",".join("?" * len(some))
            found += self.read(
                "SELECT row, photos.id, path, moment_ms "
                "FROM vectors JOIN photos ON photo_id = photos.id "
                f"WHERE space_id = ? AND row IN ({marks})",
                space.id,
                *some,
            )
        return {row: FoundPhoto(id, to_path(path), moment) for row, id, path, moment in found}

    # -- overview -----------------------------------------------------------------------

    def spaces(self) -> list[SpaceCount]:
        """Every embedding space with its counts."""
        found = self.read(
            f"SELECT {_SPACE_COLUMNS}, (SELECT count(DISTINCT photo_id) FROM vectors "
            "WHERE space_id = spaces.id AND live = 1), "
            "(SELECT count(*) FROM vectors WHERE space_id = spaces.id) FROM spaces ORDER BY id"
        )
        return [SpaceCount(Space(*rest), photos, rows) for *rest, photos, rows in found]

    def skipped(self, folder: Path | None = None) -> list[tuple[Path, str]]:
        """Files that could not be read, and why; below ``folder`` or all of them."""
        low, high = (b"", b"\xff" * 8) if folder is None else range_below(folder)
        found = self.read(
            "SELECT path, error FROM photos WHERE state != 'ready' AND gone_at IS NULL "
            "AND path >= ? AND path < ? ORDER BY path",
            low,
            high,
        )
        return [(to_path(path), why) for path, why in found]


def _rows(found: list[Record]) -> Rows:
    return np.fromiter((row for (row,) in found), dtype=np.int64, count=len(found))


def _now() -> int:
    return int(time.time())
