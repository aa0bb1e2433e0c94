"""Indexed folders and the rules by which each is read."""

from dataclasses import dataclass
from pathlib import Path

from retrieval.catalog.catalog import Catalog
from retrieval.search.rules import ScanRules
from retrieval.spec.errors import PhotoError


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that was named to be indexed; its rules hold for everything below it."""

    path: Path
    rules: ScanRules


def indexed_roots(catalog: Catalog) -> list[Root]:
    """Every folder that was ever named and not forgotten, in the order of their paths.

    Raises:
        CatalogError: The rules of one cannot be read.
    """
    return [
        Root(folder.path, ScanRules.from_json(folder.rules, folder.path))
        for folder in catalog.roots()
    ]


def root_of(folder: Path, catalog: Catalog, rules: ScanRules | None = None) -> Root:
    """The indexed folder that ``folder`` is or lies in; itself if there is none.

    Args:
        folder: As `resolved_folder` gives it.
        catalog: Where the rules of known folders stand.
        rules: New rules, in place of those that were remembered.

    Raises:
        PhotoError: ``folder`` lies in an indexed folder, whose rules leave it out or cannot be
            changed for a part of it.
        CatalogError: The remembered rules cannot be read.
    """
    for known in catalog.roots():
        if folder == known.path:
            return Root(folder, rules or ScanRules.from_json(known.rules, folder))
        if not folder.is_relative_to(known.path):
            continue
        if rules is not None:
            raise PhotoError(
                f"{folder} is part of the indexed folder {known.path}, which has rules of its "
                f"own; give the new ones with leanclip index {known.path}"
            )
        root = Root(known.path, ScanRules.from_json(known.rules, known.path))
        relative = folder.relative_to(known.path).as_posix()
        if not (root.rules.reaches(relative) and root.rules.enters(relative)):
            raise PhotoError(
                f"{folder} is left out by the rules of the indexed folder {known.path}; "
                f"change them with leanclip index {known.path}"
            )
        return root
    return Root(folder, rules or ScanRules())
