"""The public API as a list: names and signatures that a release promises to keep.

Read from the source by griffe, so nothing is imported and every Python gives the same list.
A test compares it with ``tests/release/public_api.txt``; after a change that is meant, run

    python data/release/public_api.py

and say in CHANGELOG.md what changed.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import griffe

REPOSITORY = Path(__file__).resolve().parent.parent.parent
LIST = REPOSITORY / "tests" / "release" / "public_api.txt"

_KIND = re.compile(r"^(?:class|property|classmethod|staticmethod|async) ")

MODULES = (
    # What docs/python.md shows, and what it gives back.
    "retrieval",
    "retrieval.search.library",
    "retrieval.search.hit",
    "retrieval.search.describe",
    # Models: their files, and running them.
    "retrieval.spec.bundle",
    "retrieval.spec.errors",
    "retrieval.spec.preprocessing",
    "retrieval.spec.text",
    "retrieval.spec.tower",
    "retrieval.encode.batches",
    "retrieval.encode.load",
    "retrieval.encode.protocol",
    "retrieval.hub.names",
    # What an own loss, importance, tower or target is written against.
    "retrieval.compress.losses.loss",
    "retrieval.compress.losses.step",
    "retrieval.compress.importance.importance",
    "retrieval.models.surgery.units",
    "export.targets.graphs",
    "export.targets.target",
)


def public_api(source: Path = REPOSITORY, modules: tuple[str, ...] = MODULES) -> list[str]:
    """Public names of modules with their signatures, types and values, sorted.

    Args:
        source: Folder in which the packages lie.
        modules: Modules by their full names.
    """
    loader = griffe.GriffeLoader(search_paths=[source])
    for package in dict.fromkeys(name.partition(".")[0] for name in modules):
        loader.load(package)
    loader.resolve_aliases()
    found = (line for name in modules for line in _members(loader.modules_collection[name], name))
    # A class and its members stand together, whatever their lines begin with.
    return sorted(set(found), key=lambda line: (_KIND.sub("", line), line))


def _members(owner: griffe.Object | griffe.Alias, name: str) -> Iterator[str]:
    for member in owner.members.values():
        if not _is_promised(member):
            continue
        called = f"{name}.{member.name}"
        yield _line(member, called)
        if member.is_class:
            yield from _members(member, called)


def _is_promised(member: griffe.Object | griffe.Alias) -> bool:
    if member.name.startswith("__"):
        return member.name == "__init__"
    return bool(member.is_public) and not member.is_module


def _line(member: griffe.Object | griffe.Alias, called: str) -> str:
    target = member.final_target if isinstance(member, griffe.Alias) else member
    if isinstance(target, griffe.Function):
        signature = target.signature(return_type=True, name=called)
        labels = sorted(target.labels & {"property", "classmethod", "staticmethod", "async"})
        return " ".join([*labels, signature])
    if isinstance(target, griffe.Class):
        bases = ", ".join(str(base) for base in target.bases)
        return f"class {called}({bases})" if bases else f"class {called}"
    typed = "" if target.annotation is None else f": {target.annotation}"
    if "property" in target.labels:
        return f"property {called}{typed}"
    return f"{called}{typed}" + ("" if target.value is None else f" = {target.value}")


def main() -> None:
    """Write the list."""
    LIST.write_text("\n".join(public_api()) + "\n", "utf-8")


if __name__ == "__main__":
    main()
