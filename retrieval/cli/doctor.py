"""``leanclip doctor``: check the library, and mend it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.catalog.location import library_home
from retrieval.cli.options import HomeOption, JsonOption
from retrieval.cli.photos import index_with_progress, opened_library, shown
from retrieval.spec.errors import LeanclipError

if TYPE_CHECKING:
    from retrieval.catalog.catalog import Catalog
    from retrieval.search.indexing.roots import Root
    from retrieval.search.upkeep.checks import Finding


def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what is found.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check catalog and vectors, alone and against each other; with --repair, mend them.

    Photos are the truth: whatever is lost of the library is made again from them. A catalog
    that cannot be read is moved to a dated folder beside it, never deleted, and the folders
    that it still names are indexed again. Exit status 1 says that something is left to do.

    \b
    leanclip doctor
    leanclip doctor --repair
    """
    place = library_home(home)
    found = []
    for finding in _examined(place, repair):
        found.append(finding)
        if not as_json:
            print(f"{_verdict(finding):7}{finding.text}", flush=True)
    left = any(finding.left for finding in found)
    if as_json:
        print(json.dumps({"left": left, "findings": [dataclasses.asdict(f) for f in found]}))
    elif left and not repair:
        print("run leanclip doctor --repair to mend it")
    if left:
        raise typer.Exit(1)


def _verdict(finding: Finding) -> str:
    return "ok" if finding.sound else "mended" if finding.mended else "wrong"


def _examined(home: Path, repair: bool) -> Iterator[Finding]:
    from retrieval.catalog.catalog import CATALOG_FILE, Catalog
    from retrieval.catalog.upkeep import photos_without_vector
    from retrieval.search.indexing.roots import indexed_roots
    from retrieval.search.upkeep.checks import Finding, findings
    from retrieval.search.upkeep.recover import damage

    if not (home / CATALOG_FILE).exists():
        yield Finding("nothing is indexed yet", sound=True)
        return
    wrong = damage(home)
    if wrong is not None:
        yield from _recovered(home, wrong, repair)
        return
    yield Finding("the catalog is whole", sound=True)
    with Catalog.open(home / CATALOG_FILE) as catalog:
        yield from findings(home, catalog, repair=repair)
        serving = catalog.serving()
        missing = 0 if serving is None else photos_without_vector(catalog, serving)
        roots = indexed_roots(catalog)
    if not missing:
        yield Finding("every photo has its vector", sound=True)
    elif not repair:
        yield Finding(f"{missing:,} photos have no vector", sound=False)
    else:
        yield from _indexed_again(home, roots, serving.source if serving else None)
        with Catalog.open(home / CATALOG_FILE) as catalog:
            left = 0 if serving is None else _still_missing(catalog, serving.fingerprint)
        yield Finding(f"{missing:,} photos had no vector", sound=False, mended=not left)


def _still_missing(catalog: Catalog, fingerprint: str) -> int:
    from retrieval.catalog.upkeep import photos_without_vector

    space = catalog.space(fingerprint)
    return 0 if space is None else photos_without_vector(catalog, space)


def _recovered(home: Path, wrong: str, repair: bool) -> Iterator[Finding]:
    from retrieval.search.upkeep.checks import Finding
    from retrieval.search.upkeep.recover import put_aside

    if not repair:
        yield Finding(f"the catalog is damaged: {wrong}", sound=False)
        return
    salvage = put_aside(home)
    text = f"the catalog was damaged ({wrong}); it lies in {shown(salvage.aside)} now"
    yield Finding(text, sound=False, mended=True)
    if not salvage.roots:
        yield Finding("no folder could be read from it: leanclip index FOLDER", sound=False)
    yield from _indexed_again(home, salvage.roots, salvage.source)


def _indexed_again(home: Path, roots: list[Root], source: str | None) -> Iterator[Finding]:
    from retrieval.search.upkeep.checks import Finding

    if not roots:
        return
    with opened_library(home, source) as library:
        for root in roots:
            try:
                report = index_with_progress(library, root.path, rules=root.rules)
            except LeanclipError as error:
                yield Finding(f"cannot be indexed again: {error}", sound=False)
                continue
            text = f"{shown(root.path)}: {report.photos:,} photos, {report.added:,} read again"
            yield Finding(text, sound=False, mended=True)
