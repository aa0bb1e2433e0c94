"""``leanclip describe``: words for photos, out of a list of labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.catalog.location import library_home
from retrieval.cli.options import HomeOption, JsonOption, ModelOption
from retrieval.cli.photos import shown
from retrieval.spec.defaults import LABEL_TEMPLATE
from retrieval.spec.errors import QueryError

if TYPE_CHECKING:
    from retrieval.search.describe import Description


def describe(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Indexed or not.")],
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", help="A label; may be repeated.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Text file with a label a line.")
    ] = None,
    template: Annotated[
        str, typer.Option(help="Sentence that a label is put into, at {}.")
    ] = LABEL_TEMPLATE,
    top: Annotated[int, typer.Option(min=1, help="How many labels for each photo.")] = 5,
    model: ModelOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which labels fit a photo best; without labels, out of 300 everyday things.

    A score is the cosine of the photo and the sentence. The best label comes first even when
    none fits: the list should hold what the photos may show.

    \b
    leanclip describe holiday.jpg
    leanclip describe *.jpg --label cat --label dog --label "an empty garden" --top 1
    leanclip describe scan.png --labels kinds.txt --template "a scanned {}" --json
    """
    from retrieval.hub.names import DEFAULT
    from retrieval.search.describe import describe_photos, labels_in
    from retrieval.search.library import remembered_model

    if label and labels:
        raise QueryError("--label and --labels exclude each other; choose one")
    chosen = labels_in(labels) if labels else label
    source = model or remembered_model(library_home(home)) or DEFAULT
    from retrieval.encode.load import open_encoder  # takes a while; wrong labels need not wait

    encoder = open_encoder(source)
    found = describe_photos(photos, encoder, labels=chosen, template=template, top=top)
    if as_json:
        print(json.dumps({"model": encoder.name, "results": [_as_json(one) for one in found]}))
        return
    for one in found:
        print(shown(one.path))
        for ranked in one.labels:
            print(f"  {ranked.score:.3f}  {ranked.text}")


def _as_json(one: Description) -> dict[str, object]:
    labels = [{"label": ranked.text, "score": round(ranked.score, 6)} for ranked in one.labels]
    return {"path": str(one.path), "labels": labels}
