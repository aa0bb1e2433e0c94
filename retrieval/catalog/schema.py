"""The tables of the catalog, and how an older catalog becomes a newer one."""

import sqlite3
from pathlib import Path

from retrieval.spec.errors import CatalogError

# Marks the file as ours ("lean" in ASCII), so that another program's database is refused.
APPLICATION_ID = 0x6C65616E

# MIGRATIONS[n] takes a catalog from schema n to n + 1. Published ones are never edited.
# Paths are bytes, because file names need not be text. AUTOINCREMENT never reuses an id.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE roots (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        path BLOB NOT NULL UNIQUE,
        indexed_at INTEGER NOT NULL
    );
    CREATE TABLE photos (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        path BLOB NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        content_sha256 BLOB,
        width INTEGER,
        height INTEGER,
        taken_at INTEGER,
        state TEXT NOT NULL CHECK (state IN ('ready', 'damaged', 'unreadable')),
        error TEXT,
        gone_at INTEGER
    );
    CREATE TABLE spaces (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        fingerprint TEXT NOT NULL UNIQUE,
        model TEXT NOT NULL,
        source TEXT,
        dim INTEGER NOT NULL,
        whole_at INTEGER
    );
    CREATE TABLE vectors (
        space_id INTEGER NOT NULL REFERENCES spaces (id),
        row INTEGER NOT NULL,
        photo_id INTEGER REFERENCES photos (id),
        live INTEGER NOT NULL DEFAULT 1,
        PRIMARY KEY (space_id, row)
    ) WITHOUT ROWID;
    CREATE INDEX vectors_of_photo ON vectors (photo_id, space_id);
    CREATE INDEX vectors_not_live ON vectors (space_id, row) WHERE live = 0;
    CREATE INDEX photos_not_ready ON photos (path) WHERE state != 'ready';
    """,
    # What a photo says of itself, videos with a vector for each of several moments, and the
    # rules by which a folder was read, so that watching it and reading it again follow them.
    """
    ALTER TABLE photos ADD COLUMN camera TEXT;
    ALTER TABLE photos ADD COLUMN latitude REAL;
    ALTER TABLE photos ADD COLUMN longitude REAL;
    ALTER TABLE photos ADD COLUMN duration_ms INTEGER;
    ALTER TABLE vectors ADD COLUMN moment_ms INTEGER;
    ALTER TABLE roots ADD COLUMN rules TEXT NOT NULL DEFAULT '{}';
    CREATE INDEX photos_of_content ON photos (content_sha256) WHERE content_sha256 IS NOT NULL;
    CREATE INDEX photos_by_date ON photos (taken_at) WHERE taken_at IS NOT NULL;
    """,
)

SCHEMA = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the catalog at ``path`` to this version's schema, in one transaction.

    Raises:
        CatalogError: It belongs to another program or was written by a newer leanclip.
    """
    if _is_current(connection, path):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have migrated while this one waited for the lock.
        found = _version(connection)
        if found == 0:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for script in MIGRATIONS[found:]:
            for statement in script.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _is_current(connection: sqlite3.Connection, path: Path) -> bool:
    # One transaction, so that another process making the catalog is seen before or after.
    connection.execute("BEGIN")
    found = _version(connection)
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    connection.execute("COMMIT")
    if owner != APPLICATION_ID and (tables or found):
        raise CatalogError(f"{path} is a database of another program; choose another --home")
    if found > SCHEMA:
        raise CatalogError(
            f"{path} was written by a newer leanclip (schema {found}, this one knows {SCHEMA}): "
            "pip install --upgrade leanclip, or choose another --home"
        )
    return found == SCHEMA


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
