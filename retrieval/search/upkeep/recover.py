"""When the catalog itself is damaged: it is put aside, and what it still says is used."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.catalog.catalog import CATALOG_FILE, Catalog
from retrieval.catalog.records import to_path
from retrieval.catalog.schema import APPLICATION_ID
from retrieval.search.indexing.roots import Root
from retrieval.search.rules import ScanRules
from retrieval.search.upkeep.files import VECTORS
from retrieval.spec.errors import CatalogError

_FILES = (CATALOG_FILE, f"{CATALOG_FILE}-wal", f"{CATALOG_FILE}-shm", VECTORS)
_TABLES = ("roots", "photos", "spaces", "vectors")
_LINES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Salvage:
    """What could be read of a damaged catalog."""

    aside: Path
    """The folder that its files lie in now."""
    roots: list[Root]
    source: str | None
    """What opens the model that it was last searched with."""


def damage(home: Path) -> str | None:
    """What SQLite finds wrong with the catalog in ``home``; None if nothing is.

    Raises:
        CatalogError: It is locked, another program's, or a newer leanclip's.
    """
    path = home / CATALOG_FILE
    try:
        with closing(sqlite3.connect(path, timeout=30.0)) as connection:
            problems = [
                str(problem)
                for (problem,) in connection.execute("PRAGMA integrity_check")
                if problem != "ok"
            ]
            ours = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    except sqlite3.OperationalError as error:
        raise CatalogError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        return str(error)
    if ours:
        problems += [f"the table {name} is missing" for name in _TABLES if name not in names]
    if problems:
        more = len(problems) - _LINES_SHOWN
        return "; ".join(problems[:_LINES_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    # What only its owner can say: another program's, or a newer leanclip's.
    Catalog.open(path).close()
    return None


def put_aside(home: Path) -> Salvage:
    """Move the catalog and its vectors to a dated folder in ``home`` and read what is left.

    Nothing is deleted. The next catalog starts empty.

    Raises:
        OSError: The files cannot be moved.
    """
    aside = _new_folder(home)
    for name in _FILES:
        if (home / name).exists():
            (home / name).rename(aside / name)
    stored = aside / CATALOG_FILE
    roots = []
    for path, rules in _readable(stored, "SELECT path, rules FROM roots"):
        try:
            roots.append(Root(to_path(path), ScanRules.from_json(rules, to_path(path))))
        except (CatalogError, TypeError):
            # A damaged entry; its folder can be named again.
            continue
    sources = _readable(stored, "SELECT source FROM spaces ORDER BY whole_at DESC, id")
    source = next((source for (source,) in sources if isinstance(source, str)), None)
    return Salvage(aside, roots, source)


def _new_folder(home: Path) -> Path:
    name = time.strftime("damaged-%Y%m%d-%H%M%S")
    number = 1
    while True:
        folder = home / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def _readable(path: Path, statement: str) -> Iterator[tuple[Any, ...]]:
    """Records up to the first damaged one; the file is not written to."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            yield from connection.execute(statement)
    except sqlite3.Error:
        return
