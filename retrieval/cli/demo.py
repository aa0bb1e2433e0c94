"""``leanclip demo``: the whole way on the sample data, offline."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.spec.errors import CorpusError

if TYPE_CHECKING:
    from rich.console import Console

    from retrieval.compress.recipe import Recipe
    from retrieval.evaluate.report import ModelReport
    from retrieval.search.sheet import Section

_SAMPLE_DATA = Path(__file__).resolve().parents[2] / "data"
_SCENES = 1600
_UNLABELLED = 800
_DEV_SCENES = 200
_SCENE_SIZE = 160
_TOP = 4

_SCENE_QUERIES = (
    "three red cars beneath a small green cup",
    "two tiny orange fish inside a big purple heart",
    "a white moon with a large blue triangle below it",
)
_PHOTO_QUERIES = (
    "a man taking a picture with a camera",
    "snow on the mountains",
    "a furry animal looking at the camera",
)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path(
        "runs/demo"
    ),
    data: Annotated[
        Path, typer.Option(help="The data folder of leanclip's repository.")
    ] = _SAMPLE_DATA,
) -> None:
    """Distil, evaluate, search and export, on the photos and sentences of the repository.

    The student inherits one of the teacher's two image backbones and is random otherwise.
    Stage 1 learns the teacher's embeddings of scenes and of sentences that need not belong
    together; stage 2 learns from captioned scenes. The result is exported to ONNX, compared
    with its teacher on 200 other scenes, and searched with, beside the default model on the
    sample photos. Takes a few minutes on two cores; interrupted, it goes on where it stopped.

    \b
    leanclip demo
    leanclip demo --out /tmp/demo
    """
    from rich.console import Console

    from retrieval.cli.progress import StageProgress
    from retrieval.compress.runner import run_recipe
    from retrieval.evaluate.table import csv_table, rich_table
    from retrieval.spec.files import write_text

    started = time.monotonic()
    sample = _SampleData(data)
    console = Console(stderr=True, highlight=False)
    with _step(console, "drawing captioned scenes over the sample photos"):
        scenes = _draw_scenes(sample, out)
    recipe = _recipe(sample, scenes)
    with StageProgress() as progress:
        run_recipe(recipe, out / "run", reporter=progress)
    with _step(console, "exporting to ONNX and evaluating on scenes that nobody trained on"):
        bundles = _export(sample, out)
        reports = _evaluate(bundles, scenes["dev"])
    write_text(out / "table.csv", csv_table(reports))
    with _step(console, "indexing and searching"):
        sheet = _search(sample, out, bundles["student, stages 1 and 2"], scenes["dev"].parent)
    Console().print(rich_table(reports, title=f"{_DEV_SCENES} unseen scenes, one thread"))
    print(f"contact sheet: {sheet}")
    print(f"bundle:        {bundles['student, stages 1 and 2']}")
    print(f"finished in {time.monotonic() - started:.0f} s")


class _SampleData:
    """Where the repository keeps what the demo needs."""

    def __init__(self, folder: Path) -> None:
        self.photos = folder / "photos"
        self.teacher = folder / "teacher"
        self.recipe = folder / "recipes" / "demo.yaml"
        for path in (self.photos, self.teacher, self.recipe):
            if not path.exists():
                raise CorpusError(
                    f"{path} is missing; the demo runs in a checkout of leanclip's repository, "
                    "name its data folder with --data"
                )


def _draw_scenes(sample: _SampleData, out: Path) -> dict[str, Path]:
    """Pairs to train on, photos without captions, and pairs to evaluate on."""
    from retrieval.compress.scenes import write_scenes
    from retrieval.corpora.photos import find_photos

    backgrounds = find_photos(sample.photos)
    # Sets of different seeds share no composition, so dev stays unseen.
    sets = {"pairs": (_SCENES, 1), "unlabelled": (_UNLABELLED, 2), "dev": (_DEV_SCENES, 3)}
    return {
        name: write_scenes(
            out / "scenes" / name,
            count=count,
            seed=seed,
            size=_SCENE_SIZE,
            backgrounds=backgrounds,
        )
        for name, (count, seed) in sets.items()
    }


def _recipe(sample: _SampleData, scenes: Mapping[str, Path]) -> Recipe:
    import yaml

    from retrieval.compress.recipe import make_recipe

    value: dict[str, Any] = yaml.safe_load(sample.recipe.read_text("utf-8"))
    # Where the scenes lie depends on --out; all else stands in the recipe.
    value["data"] |= {
        "photos": [scenes["unlabelled"].absolute().parent / "images"],
        "pairs": [scenes["pairs"].absolute(), (sample.photos / "pairs.jsonl").absolute()],
        "dev": scenes["dev"].absolute(),
    }
    return make_recipe(value, origin=str(sample.recipe), base=sample.recipe.parent)


def _export(sample: _SampleData, out: Path) -> dict[str, Path]:
    from export.bundle import pack_bundle
    from retrieval.models.checkpoint import load_checkpoint

    sources = {
        "teacher": sample.teacher,
        "student, stage 1": out / "run" / "2-distil-text",
        "student, stages 1 and 2": out / "run" / "student",
    }
    bundles: dict[str, Path] = {}
    for name, checkpoint in sources.items():
        bundles[name] = out / "bundles" / name.replace(", ", "-").replace(" ", "-")
        pack_bundle(load_checkpoint(checkpoint), bundles[name], precision="fp16")
    return bundles


def _evaluate(bundles: Mapping[str, Path], dev: Path) -> list[ModelReport]:
    from retrieval.corpora.pairs import read_pairs
    from retrieval.evaluate.report import evaluate_model

    pairs = read_pairs(dev)
    return [
        replace(evaluate_model(bundle, pairs, latency=True), name=name)
        for name, bundle in bundles.items()
    ]


def _search(sample: _SampleData, out: Path, student: Path, scenes: Path) -> Path:
    from retrieval.search.sheet import write_contact_sheet

    sections = [
        *_sections(out / "library", student, scenes / "images", _SCENE_QUERIES, "new student"),
        *_sections(out / "library", "default", sample.photos, _PHOTO_QUERIES, "default model"),
    ]
    for name in ("contact-sheet.html", "contact-sheet.png"):
        write_contact_sheet(out / name, sections)
    return out / "contact-sheet.html"


def _sections(
    home: Path, model: str | Path, photos: Path, queries: Sequence[str], label: str
) -> list[Section]:
    from retrieval.encode.load import open_encoder
    from retrieval.search.library import Library
    from retrieval.search.sheet import Section

    with Library.open(home, open_encoder(model)) as library:
        library.ensure_index(photos)
        return [
            Section(f"{query} ({label})", library.search(query, top=_TOP, folder=photos))
            for query in queries
        ]


@contextmanager
def _step(console: Console, title: str) -> Iterator[None]:
    with console.status(title):
        started = time.monotonic()
        yield
    console.print(f"{title}: {time.monotonic() - started:.0f} s")
