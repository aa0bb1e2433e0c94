"""``leanclip vacuum``: give back the space of photos that are gone."""

import dataclasses
import json

from retrieval.catalog.location import library_home
from retrieval.cli.options import HomeOption, JsonOption
from retrieval.spec.errors import CatalogError


def vacuum(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Drop what no search can return any more, and give its space back to the disk.

    Vectors of changed, vanished and forgotten photos are kept until now, so that a drive
    that comes back costs nothing; after this, its photos are new. May be stopped, or killed,
    at any time: the library is then as it was. Needs room for a second copy for a while.

    \b
    leanclip vacuum
    leanclip vacuum --json
    """
    from retrieval.catalog.catalog import CATALOG_FILE, Catalog
    from retrieval.search.upkeep.vacuum import vacuum as vacuum_library

    place = library_home(home)
    if not (place / CATALOG_FILE).exists():
        raise CatalogError("nothing is indexed yet, so there is nothing to drop")
    with Catalog.open(place / CATALOG_FILE) as catalog:
        report = vacuum_library(place, catalog)
    if as_json:
        print(json.dumps(dataclasses.asdict(report) | {"bytes_won": report.bytes_won}))
        return
    print(
        f"{report.bytes_won / 1e6:.1f} MB won ({report.bytes_before / 1e6:.1f} MB before, "
        f"{report.bytes_after / 1e6:.1f} MB now): {report.rows:,} vectors and "
        f"{report.vanished:,} vanished photos dropped"
    )
