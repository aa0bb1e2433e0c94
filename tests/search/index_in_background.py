"""Run by tests in a process of its own, to be killed: index a folder, report what is done.

Arguments: home, photos, length of a vector, largest file in bytes (0: no limit).
"""

import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from retrieval.search.indexing import IndexProgress
from retrieval.search.library import Library
from retrieval.spec.errors import CatalogError
from tests.fakes import ColourEncoder


def report(now: IndexProgress) -> None:
    sys.stdout.write(f"{now.done}\n")
    sys.stdout.flush()
    time.sleep(0.01)


if __name__ == "__main__":
    home, photos, dim, limit = sys.argv[1:]
    if int(limit):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    try:
        with Library.open(Path(home), ColourEncoder(dim=int(dim))) as library:
            library.ensure_index(Path(photos), progress=report)
    except (OSError, CatalogError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
