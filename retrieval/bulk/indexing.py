"""``image.index`` and ``text.index`` of a folder whose shards are all there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from retrieval.bulk.exact import Progress, write_exact
from retrieval.bulk.folder import OutputFolder
from retrieval.bulk.ivfpq import write_merged, write_trained
from retrieval.bulk.plan import Plan
from retrieval.bulk.work import PartOfIndex, Runner
from retrieval.spec.errors import LeanclipError
from retrieval.spec.files import write_json

IndexKind = Literal["exact", "ivfpq"]
Begin = Callable[[str], Progress]
"""Called with what begins; returns what is told how far it is."""


def build_indexes(
    out: OutputFolder, plan: Plan, kind: IndexKind, runner: Runner, begin: Begin
) -> list[Path]:
    """Make the indexes of a complete folder that are missing or of another kind.

    Ids are the rows of all shards, one shard after the other.

    Returns:
        Those that the folder has now.

    Raises:
        CacheError: An array is missing or damaged, or there are too few for ``ivfpq``.
        OSError: The disk is full or read-only; an earlier index stays.
    """
    note = out.home / "indexes.json"
    built = _read(note)
    paths = []
    for side in ("image", "text") if plan.captions else ("image",):
        path = out.index(side)
        paths.append(path)
        if built.get(side) == kind and path.exists():
            continue
        _build(out, plan, side, kind, runner, begin)
        built[side] = kind
        write_json(note, built)
    return paths


def arrays_of(out: OutputFolder, plan: Plan, side: str) -> list[tuple[int, Path]]:
    """Numbers and embeddings of the shards that have any, in the order of the rows."""
    count = len(plan.shards)
    found = []
    for number in range(count):
        summary = out.summary(number)
        if summary is not None and summary.rows:
            shard = out.shard(number, count)
            found.append((number, shard.images if side == "image" else shard.texts))
    return found


def _build(
    out: OutputFolder, plan: Plan, side: str, kind: IndexKind, runner: Runner, begin: Begin
) -> None:
    numbered = arrays_of(out, plan, side)
    arrays = [array for _, array in numbered]
    if kind == "exact":
        write_exact(arrays, plan.dim, out.index(side), begin(f"{side}.index"))
        return
    home = out.home / f"ivfpq-{side}"
    trained = home / "trained.faiss"
    if not trained.exists():
        progress = begin(f"training {side}.index")
        write_trained(arrays, plan.dim, trained)
        progress(1, 1)
    parts = [home / f"{number}.faiss" for number, _ in numbered]
    _make_parts(trained, numbered, parts, runner, begin(f"parts of {side}.index"))
    write_merged(trained, parts, out.index(side), begin(f"{side}.index"))
    shutil.rmtree(home, ignore_errors=True)


def _make_parts(
    trained: Path,
    numbered: list[tuple[int, Path]],
    parts: list[Path],
    runner: Runner,
    progress: Progress,
) -> None:
    missing = [
        PartOfIndex(number, str(trained), str(array), str(part))
        for (number, array), part in zip(numbered, parts, strict=True)
        if not part.exists()
    ]
    for done, outcome in enumerate(runner.index(missing) if missing else (), start=1):
        if outcome.problem:
            raise LeanclipError(outcome.problem)
        progress(len(parts) - len(missing) + done, len(parts))


def _read(note: Path) -> dict[str, str]:
    try:
        built: dict[str, str] = json.loads(note.read_bytes())
    except (OSError, ValueError):
        # Indexes can be made again.
        return {}
    return built
