"""One SQLite file: opened, migrated, and its errors told in the user's words."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from retrieval.catalog.schema import migrate
from retrieval.spec.errors import CatalogError

Record = tuple[Any, ...]

_LOCK_SECONDS = 30.0
_NOT_WRITABLE = "; make that folder writable, or choose another --home"
_IS_BUSY = "; another leanclip is writing to it, try again"
_HINTS = {
    sqlite3.SQLITE_BUSY: _IS_BUSY,
    sqlite3.SQLITE_LOCKED: _IS_BUSY,
    sqlite3.SQLITE_CANTOPEN: _NOT_WRITABLE,
    sqlite3.SQLITE_READONLY: _NOT_WRITABLE,
    sqlite3.SQLITE_FULL: "; what was finished is kept: make room and run it again",
}


class Database:
    """A connection that commits only through `writing`; for use from one thread."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the catalog at ``path``; make it, and its folder, when there is none.

        Raises:
            CatalogError: Damaged, locked for long, another program's, or a newer one; or its folder
                cannot be made or written to.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise CatalogError(f"{path.parent}: {reason}{_NOT_WRITABLE}") from error
        with _explained(path):
            connection = sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None)
            try:
                migrate(connection, path)
                _use_write_ahead_log(connection)
                # What a run reported as done survives a power cut, not only a kill.
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
            except BaseException:
                connection.close()
                raise
        return cls(connection, path)

    def close(self) -> None:
        """Close the database; what was committed is kept."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all of it or nothing; other writers wait for its end.

        Raises:
            CatalogError: The disk is full, or another process holds the catalog for long.
        """
        with _explained(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def shrink(self) -> None:
        """Give free pages back to the disk; waits for no reader.

        Raises:
            CatalogError: The disk has no room for the copy that this needs for a while.
        """
        with _explained(self.path):
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def read(self, statement: str, *values: object) -> list[Record]:
        """All rows that a statement returns for its values."""
        with _explained(self.path):
            return self._connection.execute(statement, values).fetchall()

    def write(self, statement: str, *values: object) -> None:
        """Change something; inside `writing`."""
        with _explained(self.path):
            self._connection.execute(statement, values)

    def write_many(self, statement: str, values: Iterable[Sequence[object]]) -> None:
        """Change something for each set of values; inside `writing`."""
        with _explained(self.path):
            self._connection.executemany(statement, values)


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # Unlike every other statement, this one does not wait for a lock by itself.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        # The low byte of an error's code says of which kind it is.
        hint = _HINTS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "")
        raise CatalogError(f"{path}: {error}{hint}") from error
    except sqlite3.DatabaseError as error:
        raise CatalogError(
            f"{path} is damaged ({error}); move it aside and index your photos again"
        ) from error
