"""Which files of a library belong to which embedding space."""

import re
from pathlib import Path

from retrieval.catalog.catalog import Catalog
from retrieval.catalog.records import Space
from retrieval.index.vectors import VectorFile

VECTORS = "vectors"
_OWNER = re.compile(r"\.?space-(\d+)\.")


def vector_file(home: Path, space: Space) -> VectorFile:
    """The vectors of a space in the library at ``home``."""
    return VectorFile(home / VECTORS / f"space-{space.id}.fp16", space.dim)


def rows_held(home: Path, space: Space) -> int:
    """Whole vectors on disk; fewer than the catalog counts if some were lost."""
    file = vector_file(home, space)
    try:
        # Two bytes for each number.
        return file.path.stat().st_size // (2 * space.dim)
    except FileNotFoundError:
        return 0


def orphans(home: Path, catalog: Catalog) -> list[Path]:
    """Files of embedding spaces that the catalog does not know: left by a killed run."""
    known = {count.space.id for count in catalog.spaces()}
    found = []
    for path in sorted((home / VECTORS).glob("*")):
        owner = _OWNER.match(path.name)
        if owner is not None and int(owner[1]) not in known and path.is_file():
            found.append(path)
    return found
