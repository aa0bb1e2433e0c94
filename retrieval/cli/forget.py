"""``leanclip forget``: take photos or folders out of the catalog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.catalog.location import library_home
from retrieval.cli.options import HomeOption, JsonOption
from retrieval.cli.photos import shown
from retrieval.spec.errors import CatalogError

if TYPE_CHECKING:
    from retrieval.catalog.catalog import Catalog


def forget(
    places: Annotated[
        list[Path], typer.Argument(metavar="DIR|PHOTO...", help="What to forget; may be gone.")
    ],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take photos, or folders and all photos below them, out of the catalog.

    Files are never touched. A folder that lies in an indexed one comes back when that is
    indexed again: leave it out with leanclip index DIR --exclude. leanclip vacuum gives the
    space back to the disk.

    \b
    leanclip forget ~/Pictures/work
    leanclip forget /mnt/old-drive ~/Pictures/scan.png
    """
    from retrieval.catalog.catalog import CATALOG_FILE, Catalog

    catalog_file = library_home(home) / CATALOG_FILE
    if not catalog_file.exists():
        raise CatalogError("nothing is indexed yet, so there is nothing to forget")
    with Catalog.open(catalog_file) as catalog, catalog.writing():
        forgotten = {place: _forget(place, catalog) for place in places}
    if as_json:
        counts = [{"path": str(place), "photos": n} for place, n in forgotten.items()]
        print(json.dumps({"forgotten": counts}))
        return
    for place, count in forgotten.items():
        print(f"{shown(place)}: {count:,} photos forgotten")


def _forget(place: Path, catalog: Catalog) -> int:
    from retrieval.catalog.upkeep import forget as forget_in

    absolute = place.expanduser().absolute()
    # A photo may be catalogued under the name of a link, which must not be followed.
    names = dict.fromkeys((absolute.parent.resolve() / absolute.name, absolute.resolve()))
    roots = {root.path for root in catalog.roots()}
    count = sum(forget_in(catalog, name) for name in names)
    if not count and roots.isdisjoint(names):
        raise CatalogError(f"{shown(place)} is not indexed; leanclip status lists what is")
    return count
