"""``leanclip fetch``: bring a public data set of captioned photos here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.cli.options import JsonOption
from retrieval.spec.errors import CorpusError
from retrieval.spec.files import size_of

if TYPE_CHECKING:
    from retrieval.corpora.fetch.datasets import Dataset


def fetch(
    name: Annotated[str, typer.Argument(metavar="coco|flickr30k", help="Which data set.")],
    folder: Annotated[Path, typer.Argument(help="Where it goes.")],
    archive: Annotated[
        list[Path] | None,
        typer.Option(help="An archive that you have already; may be given several times."),
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You have read the terms and accept them.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch COCO or Flickr30k with captions, in Karpathy's split.

    Downloads go on where they were stopped, and every file is checked by its hash. The
    folder gets train.jsonl, dev.jsonl and test.jsonl, which recipes and evaluate read.

    Flickr30k's photos are given only to those who fill in a form: name the archive that you
    get with --archive. The same goes for any archive that you have already.

    \b
    leanclip fetch coco data/downloads/coco --accept-licence
    leanclip fetch coco data/downloads/coco --archive ~/train2017.zip --archive ~/val2017.zip
    leanclip fetch flickr30k data/downloads/flickr30k --archive ~/flickr30k-images.tar.gz
    """
    from retrieval.cli.progress import StageProgress
    from retrieval.corpora.fetch.run import fetch_dataset

    dataset = _dataset(name)
    _agree(dataset, accepted=accept_licence)
    with StageProgress() as progress:
        fetched = fetch_dataset(dataset, folder, archives=archive or [], reporter=progress)
    if as_json:
        print(json.dumps({split: str(path) for split, path in fetched.pairs.items()}))
        return
    for split, path in fetched.pairs.items():
        size = dataset.splits[split]
        print(f"{split}: {size.photos:,} photos with {size.captions:,} captions: {path}")
    if fetched.archives:
        gigabytes = sum(size_of(one) for one in fetched.archives) / 1e9
        where = fetched.archives[0].parent
        print(f"{where} is not needed any more; deleting it gives back {gigabytes:.1f} GB")


def _dataset(name: str) -> Dataset:
    from retrieval.corpora.fetch.datasets import DATASETS

    if name not in DATASETS:
        raise CorpusError(f"there is no data set {name!r}; leanclip fetches {', '.join(DATASETS)}")
    return DATASETS[name]


def _agree(dataset: Dataset, *, accepted: bool) -> None:
    """Show the terms; ask for consent where somebody can answer.

    Raises:
        CorpusError: Nobody has accepted them.
    """
    print(f"{dataset.title} is not leanclip's, and comes with terms:", file=sys.stderr)
    for term in dataset.terms:
        print(f"  - {term}", file=sys.stderr)
    print(f"  Read them at {dataset.page}", file=sys.stderr)
    if accepted:
        return
    if sys.stdin.isatty() and typer.confirm("Do you accept them?", err=True):
        return
    raise CorpusError("the terms are not accepted, so nothing was fetched; add --accept-licence")
