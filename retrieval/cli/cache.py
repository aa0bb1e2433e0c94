"""``leanclip cache``: store a teacher's embeddings of a corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.cli.options import JsonOption
from retrieval.cli.photos import SKIPPED_SHOWN
from retrieval.spec.defaults import BATCH_SIZE, CACHE_SHARD_SIZE

if TYPE_CHECKING:
    from retrieval.compress.cache.cache import BuildCounts, TeacherCache


def cache(
    teacher: Annotated[
        str,
        typer.Argument(
            metavar="TEACHER",
            help="default, a bundle, a checkpoint, open_clip:MODEL/PRETRAINED or hf:ORG/NAME.",
        ),
    ],
    corpus: Annotated[
        Path,
        typer.Argument(
            metavar="CORPUS",
            help="Folder of photos, sentences (.txt, .txt.gz) or captioned photos (.jsonl).",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the cache.")],
    batch_size: Annotated[
        int, typer.Option(min=1, help="Photos or sentences that the teacher takes at a time.")
    ] = BATCH_SIZE,
    shard_size: Annotated[
        int, typer.Option(min=1, help="Rows that a killed run may have to do again.")
    ] = CACHE_SHARD_SIZE,
    as_json: JsonOption = False,
) -> None:
    """Embed photos, sentences or captioned photos once, for every training run after that.

    OUT has the folders that clip-retrieval writes: img_emb, text_emb, metadata. Stop at any
    time: the next run goes on. When the corpus has changed, only new and changed items are
    embedded; moved and renamed photos are recognised. Photos that cannot be decoded are left
    out and listed. A cache belongs to one teacher; another one is refused.

    \b
    leanclip cache open_clip:ViT-B-32/openai ~/Pictures caches/pictures
    leanclip cache runs/teacher data/sentences.txt.gz caches/sentences
    leanclip cache runs/teacher train.jsonl caches/train --json
    """
    from retrieval.cli.progress import progress_bar
    from retrieval.compress.cache.build import build_cache
    from retrieval.compress.cache.cache import BuildCounts
    from retrieval.compress.cache.corpus import Corpus
    from retrieval.compress.teaching.teacher import open_teacher

    # The corpus first: naming a wrong file should not cost the loading of a large teacher.
    opened = Corpus.open(corpus)
    encoder = open_teacher(teacher)
    with progress_bar("embedding") as show:
        built = build_cache(
            encoder,
            opened,
            out,
            shard_size=shard_size,
            batch_size=batch_size,
            progress=show,
        )
    _list_unreadable(built)
    counts = built.built or BuildCounts(0, 0, 0)
    if as_json:
        print(json.dumps(_summary(built, counts, encoder.name)))
        return
    print(
        f"{out}: {encoder.name}, {len(built.photos):,} photos, {len(built.sentences):,} sentences; "
        f"{counts.computed:,} embedded now, {counts.reused:,} reused, {counts.skipped:,} skipped"
    )


def _summary(built: TeacherCache, counts: BuildCounts, teacher: str) -> dict[str, object]:
    return {
        "folder": str(built.folder),
        "teacher": teacher,
        "photos": len(built.photos),
        "sentences": len(built.sentences),
        "computed": counts.computed,
        "reused": counts.reused,
        "skipped": counts.skipped,
    }


def _list_unreadable(built: TeacherCache) -> None:
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    for _, reason in built.unreadable[:SKIPPED_SHOWN]:
        console.print(f"skipped: {reason}")
    if len(built.unreadable) > SKIPPED_SHOWN:
        console.print(f"and {len(built.unreadable) - SKIPPED_SHOWN} more")
