"""Run by a test on a file system of its own: index until it is full, make room, go on.

Arguments: home (the whole file system), photos, length of a vector, bytes to leave free.
Prints, as JSON, what happened.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from retrieval.search.library import Library
from retrieval.search.upkeep.checks import findings
from retrieval.spec.errors import CatalogError
from tests.fakes import ColourEncoder

FILLER = "filler"


def fill(home: Path, leave: int) -> None:
    room = os.statvfs(home)
    with (home / FILLER).open("wb") as stream:
        stream.write(bytes(max(0, room.f_bavail * room.f_frsize - leave)))


def index(home: Path, photos: Path, dim: int) -> dict[str, object]:
    done = [0]
    error = ""
    try:
        with Library.open(home, ColourEncoder(dim=dim)) as library:
            library.ensure_index(photos, progress=lambda now: done.append(now.done))
    except (OSError, CatalogError) as failure:
        error = str(failure)
    return {"reported": max(done), "error": error}


if __name__ == "__main__":
    home, photos, dim, leave = sys.argv[1:]
    fill(Path(home), int(leave))
    first = index(Path(home), Path(photos), int(dim))
    (Path(home) / FILLER).unlink()
    with Library.open(Path(home), ColourEncoder(dim=int(dim))) as library:
        left = library.count()
        added = library.ensure_index(Path(photos)).added
        wrong = [f.text for f in findings(Path(home), library.catalog, repair=False) if f.left]
        found = len(library.search("red", top=10_000))
    found_then = {"left": left, "added": added, "found": found, "wrong": wrong}
    sys.stdout.write(json.dumps({**first, **found_then}))
