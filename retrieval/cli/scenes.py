"""``leanclip scenes``: draw captioned scenes to learn or test on."""

import itertools
import json
from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.options import JsonOption


def scenes(
    folder: Annotated[
        Path, typer.Argument(metavar="OUT", help="New folder for pictures and pairs.jsonl.")
    ],
    count: Annotated[int, typer.Option(help="Number of scenes.")] = 2000,
    seed: Annotated[int, typer.Option(help="Selects the scenes.")] = 0,
    size: Annotated[int, typer.Option(help="Width and height of a picture, in pixels.")] = 224,
    captions: Annotated[int, typer.Option(help="Captions for each scene.")] = 3,
    backgrounds: Annotated[
        Path | None,
        typer.Option(help="Folder of photos that lie behind the scenes; none: colour gradients."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Draw scenes of coloured things, each with several true captions.

    A caption names things, colours, numbers, sizes and places: "two big red stars above a
    blue fish". The same seed gives the same scenes; seeds that differ modulo 16 share none,
    so one can be trained on and another measured.

    \b
    leanclip scenes scenes/train --count 2000 --seed 0 --backgrounds data/photos
    leanclip scenes scenes/dev --count 300 --seed 1 --backgrounds data/photos
    leanclip evaluate default scenes/dev/pairs.jsonl
    """
    from retrieval.cli.progress import progress_bar
    from retrieval.compress.scenes import write_scenes
    from retrieval.corpora.photos import find_photos

    photos = [] if backgrounds is None else find_photos(backgrounds)
    done = itertools.count(1)
    with progress_bar("drawing scenes", count) as show:
        pairs = write_scenes(
            folder,
            count=count,
            seed=seed,
            size=size,
            backgrounds=photos,
            captions=captions,
            progress=lambda: show(next(done), count),
        )
        # Also where they were all there already.
        show(count, count)
    if as_json:
        print(json.dumps({"pairs": str(pairs), "scenes": count, "captions": count * captions}))
    else:
        print(f"{count} scenes with {captions} captions each: {pairs}")
