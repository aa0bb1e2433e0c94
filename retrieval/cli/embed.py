"""``leanclip embed``: embed photos by the million, here or on many machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from retrieval.cli.options import JsonOption
from retrieval.cli.photos import SKIPPED_SHOWN, note, shown
from retrieval.hub.names import DEFAULT
from retrieval.spec.defaults import BULK_SHARD_SIZE

if TYPE_CHECKING:
    from retrieval.bulk.embed import EmbedReport
    from retrieval.bulk.work import Runner
    from retrieval.cli.progress import StageProgress


def embed(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE", help="Folders of photos, tar files, shard-{000..099}.tar."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the embeddings.")],
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Work on a Ray cluster: its HOST:PORT, auto, or local to start one here.",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|BUNDLE|default", help="A listed model, a bundle or a checkpoint."
        ),
    ] = DEFAULT,
    shard_size: Annotated[
        int | None,
        typer.Option(
            min=1, help=f"Photos of a folder in one shard; else {BULK_SHARD_SIZE:,}.", metavar="N"
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="With --ray, most shards at a time; else processes that decode.",
        ),
    ] = None,
    index: Annotated[
        Literal["exact", "ivfpq", "none"], typer.Option(help="Which FAISS index to build.")
    ] = "exact",
    captions: Annotated[
        bool | None,
        typer.Option(
            "--captions/--no-captions",
            help="Embed captions, too; by default if the first photo has one.",
        ),
    ] = None,
    fields: Annotated[
        bool | None,
        typer.Option("--fields", help="Also keep what the .json beside each photo says."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Embed photos by the million, here or on many machines.

    OUT gets the folders that clip-retrieval writes (img_emb, text_emb, metadata) and FAISS
    indexes (image.index, text.index), so that other tools read it. A caption is the .txt
    beside a photo, or caption in its .json; photos without one are then left out.

    Work goes by shards: a tar file each, or 10,000 photos of a folder. Stop at any time, or
    lose a machine: what is finished is kept, the next run does only what is missing. Photos
    that cannot be decoded are left out and named in the summary of their shard.

    With --ray, every machine needs leanclip and must see the sources, OUT and the model
    under the same paths, on a network drive for instance.

    \b
    leanclip embed ~/Pictures embeddings
    leanclip embed "laion/{00000..00099}.tar" embeddings --index ivfpq
    leanclip embed /nas/photos /nas/embeddings --ray 10.0.0.5:6379
    leanclip embed photos embeddings --ray local --workers 4
    """
    from retrieval.bulk.embed import embed as embed_shards
    from retrieval.bulk.plan import Wishes
    from retrieval.bulk.work import named_model
    from retrieval.encode.load import open_encoder

    name = named_model(model)
    encoder = open_encoder(name)
    # On other machines, the folder of this command means nothing.
    out = out.expanduser().absolute()
    with _runner(ray, out, name, workers) as runner, ExitStack() as stack:
        report = embed_shards(
            sources,
            out,
            encoder,
            runner,
            _Bars(stack),
            wishes=Wishes(shard_size, captions, fields),
            index=None if index == "none" else index,
        )
    _tell_rest(report)
    if as_json:
        print(json.dumps(_as_json(report, out, encoder.name)))
        return
    texts = " with captions" if report.captions else ""
    names = " and ".join(path.name for path in report.indexes) or "no index"
    print(
        f"{shown(out)}: {report.photos:,} photos{texts} in {report.shards:,} shards "
        f"({report.embedded:,} embedded now), {len(report.skipped):,} skipped; {names}"
    )


class _Bars:
    """Bars that appear with the first work, so that a refusal before it stays one line."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._bars: StageProgress | None = None

    def begin(self, title: str, total: int, done: int = 0) -> None:
        from retrieval.cli.progress import StageProgress

        if self._bars is None:
            self._bars = self._stack.enter_context(StageProgress())
        self._bars.begin(title, total, done)

    def advance(self, done: int, total: int | None = None, note: str = "") -> None:
        assert self._bars is not None
        self._bars.advance(done, total, note)


@contextmanager
def _runner(ray: str | None, out: Path, model: str, workers: int | None) -> Iterator[Runner]:
    from retrieval.bulk.cluster import RayRunner
    from retrieval.bulk.local import LocalRunner

    if ray is None:
        yield LocalRunner(out, model, workers)
        return
    with RayRunner(ray, out, model, workers) as runner:
        yield runner


def _tell_rest(report: EmbedReport) -> None:
    for photo in report.skipped[:SKIPPED_SHOWN]:
        note(f"skipped {shown(Path(photo.photo))}: {photo.why}")
    if len(report.skipped) > SKIPPED_SHOWN:
        note(f"and {len(report.skipped) - SKIPPED_SHOWN:,} more: see embedding/shards")
    if report.newcomers:
        note(
            f"{report.newcomers:,} photos came since the embedding was begun and are not in it; "
            "embed them to another folder"
        )


def _as_json(report: EmbedReport, out: Path, model: str) -> dict[str, Any]:
    return {
        "folder": str(out),
        "model": model,
        "photos": report.photos,
        "captions": report.photos if report.captions else 0,
        "shards": report.shards,
        "embedded": report.embedded,
        "skipped": [photo.model_dump() for photo in report.skipped],
        "newcomers": report.newcomers,
        "indexes": [path.name for path in report.indexes],
    }
