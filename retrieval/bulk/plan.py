"""``embedding/plan.json``: which model embeds which photos, decided once for a folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated

from pydantic import Field

from retrieval.bulk.folder import OutputFolder
from retrieval.bulk.samples import has_caption
from retrieval.bulk.sources import ShardSource, cut_sources, named_sources
from retrieval.encode.protocol import Encoder
from retrieval.spec.base import Spec
from retrieval.spec.defaults import BULK_SHARD_SIZE
from retrieval.spec.errors import CacheError
from retrieval.spec.files import replacing, sha256_json, write_json
from retrieval.spec.formats import refuse_newer
from retrieval.spec.reasons import first_line

FORMAT = 1


class PlannedShard(Spec):
    """One unit of work."""

    source: str
    """A tar file or a folder."""
    photos: int | None = None
    """Of a folder's piece; those of a tar file are counted when it is read."""
    bytes: int = 0
    """Of a tar file."""


class Plan(Spec):
    """What an output folder holds when it is complete."""

    format: Annotated[int, Field(ge=1)] = FORMAT
    model: str
    fingerprint: str
    """Names the embedding space, as `Encoder.fingerprint` does."""
    key: str
    """Hash of the embedding space and the preprocessing."""
    dim: Annotated[int, Field(ge=1)]
    sources: tuple[str, ...]
    shard_size: int
    captions: bool
    """Whether sentences are embedded, too; photos without one are then left out."""
    fields: bool
    """Whether what the ``.json`` beside a photo says becomes columns of the metadata."""
    shards: tuple[PlannedShard, ...]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a user may ask for; None leaves it to the plan, or for a new one to the source."""

    shard_size: int | None = None
    captions: bool | None = None
    fields: bool | None = None


def open_plan(
    out: OutputFolder, sources: Sequence[Path], encoder: Encoder, wishes: Wishes
) -> tuple[Plan, int]:
    """The plan of an output folder, written if there is none.

    Returns:
        The plan, and how many photos came to its folders since it was written.

    Raises:
        CacheError: The folder belongs to another model, other sources or other wishes, or
            holds something else.
        CorpusError: A source is missing, empty or damaged.
    """
    names = named_sources(sources)
    found = read_plan(out)
    if found is None:
        if out.path.exists() and not _is_ours(out):
            raise CacheError(
                f"{out.path} holds something else than embeddings that leanclip wrote; choose "
                "another folder"
            )
        return _new_plan(out, names, encoder, wishes), 0
    _refuse_other(out.path, found, names, encoder, wishes)
    return found, _newcomers(out, found, cut_sources(names, found.shard_size))


def read_plan(out: OutputFolder) -> Plan | None:
    """The plan of a folder, or None.

    Raises:
        CacheError: It is damaged or of a newer format.
    """
    try:
        text = out.plan.read_text("utf-8")
        refuse_newer(out.plan, text, FORMAT, CacheError)
        return Plan.model_validate(json.loads(text))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        first = first_line(error)
        raise CacheError(f"{out.plan} is damaged ({first}); embed to another folder") from error


def source_of(out: OutputFolder, plan: Plan, number: int) -> ShardSource:
    """What one shard is made of.

    Raises:
        CacheError: The listing of a folder's piece is missing or damaged.
    """
    planned = plan.shards[number]
    if planned.photos is None:
        return ShardSource(Path(planned.source), bytes=planned.bytes)
    path = out.listing(number)
    try:
        names: list[str] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        first = first_line(error)
        raise CacheError(f"{path} is damaged ({first}); embed to another folder") from error
    return ShardSource(Path(planned.source), tuple(names))


def key_of(encoder: Encoder) -> str:
    """Hash of an embedding space and how pixels come into it."""
    return sha256_json([encoder.fingerprint, encoder.preprocessing.model_dump(mode="json")])


def _new_plan(out: OutputFolder, names: list[str], encoder: Encoder, wishes: Wishes) -> Plan:
    size = wishes.shard_size or BULK_SHARD_SIZE
    shards = cut_sources(names, size)
    captions = has_caption(shards[0]) if wishes.captions is None else wishes.captions
    for number, shard in enumerate(shards):
        if shard.names is not None:
            with replacing(out.listing(number)) as temporary:
                # Escapes also carry names that are not valid text, as file systems allow.
                temporary.write_text(json.dumps(shard.names), "ascii")
    plan = Plan(
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        key=key_of(encoder),
        dim=encoder.dim,
        sources=tuple(names),
        shard_size=size,
        captions=captions,
        fields=bool(wishes.fields),
        shards=tuple(_planned(shard) for shard in shards),
    )
    write_json(out.plan, plan.model_dump(mode="json"))
    return plan


def _planned(shard: ShardSource) -> PlannedShard:
    photos = None if shard.names is None else len(shard.names)
    return PlannedShard(source=str(shard.path), photos=photos, bytes=shard.bytes)


def _is_ours(out: OutputFolder) -> bool:
    """Whether nothing is there but what a run leaves that was killed while it planned."""
    return out.path.is_dir() and all(one == out.home for one in out.path.iterdir())


def _refuse_other(
    path: Path, found: Plan, names: list[str], encoder: Encoder, wishes: Wishes
) -> None:
    if found.key != key_of(encoder):
        reason = (
            f"was embedded by another model: {found.model} ({found.fingerprint[:12]}), "
            f"not {encoder.name} ({encoder.fingerprint[:12]})"
        )
    elif list(found.sources) != names:
        reason = f"holds embeddings of {', '.join(found.sources)}, not of {', '.join(names)}"
    elif wishes.shard_size not in (None, found.shard_size):
        reason = f"was begun with --shard-size {found.shard_size}"
    elif wishes.captions not in (None, found.captions):
        reason = f"was begun {'with' if found.captions else 'without'} captions"
    elif wishes.fields not in (None, found.fields):
        reason = f"was begun {'with' if found.fields else 'without'} --fields"
    else:
        return
    raise CacheError(f"{path} {reason}; choose another folder, or remove this one")


def _newcomers(out: OutputFolder, plan: Plan, now: list[ShardSource]) -> int:
    now_by_name = {str(one.path): one.bytes for one in now if one.names is None}
    for number, one in enumerate(plan.shards):
        # A shard that is not done yet may have been cut off, and mended since.
        done = one.photos is None and out.done(number).exists()
        if done and now_by_name.get(one.source) != one.bytes:
            raise CacheError(
                f"{one.source} has changed since it was embedded; choose another folder than "
                f"{out.path}, or remove {out.path}"
            )
    planned = (
        (one.source, name)
        for number, one in enumerate(plan.shards)
        if one.photos is not None
        for name in source_of(out, plan, number).names or ()
    )
    present = chain.from_iterable(
        ((str(one.path), name) for name in one.names) for one in now if one.names is not None
    )
    return len(set(present).difference(planned))
