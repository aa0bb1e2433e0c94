"""``leanclip compress``: run a recipe."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from retrieval.cli.app import EXIT_INTERRUPTED
from retrieval.cli.meters import meters
from retrieval.cli.progress import StageProgress
from retrieval.compress.distributed.group import is_first_process, process_group
from retrieval.compress.recipe import Recipe, load_recipe
from retrieval.compress.runner import run_recipe, stage_metrics


def compress(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe, as YAML.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run.  [default: runs/NAME-OF-RECIPE]")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print only JSON on standard output.")
    ] = False,
) -> None:
    """Distil a small model from a teacher, stage by stage.

    Each stage writes a checkpoint folder with the recall, parameters and milliseconds that
    it reached; the last one is also OUT/student. Stop at any time with Ctrl-C: the same
    command goes on at the next step, with the same losses as if it had never stopped. A
    changed recipe runs again from the first stage that the change concerns.

    \b
    leanclip compress data/recipes/flickr8k-student.yaml
    leanclip compress my-recipe.yaml --out runs/first-try
    leanclip evaluate runs/first-try/student dev.jsonl
    torchrun --nproc-per-node 4 -m retrieval.compress my-recipe.yaml
    """  # noqa: D301  (click ends re-flowing at a backspace character)
    loaded = load_recipe(recipe)
    folder = out or Path("runs") / loaded.name
    if is_first_process():
        with process_group(), StageProgress() as progress:
            student = run_recipe(loaded, folder, reporter=progress, meters=meters())
    else:
        _follow(loaded, folder)
        return
    stages = stage_metrics(loaded, folder)
    if as_json:
        print(json.dumps({"student": str(student), "stages": stages}))
        return
    Console().print(_table(stages))
    print(student)


def _follow(recipe: Recipe, folder: Path) -> None:
    """What the other processes do: their part of the work, and nothing that the first prints."""
    try:
        with process_group():
            run_recipe(recipe, folder, meters=meters())
    except KeyboardInterrupt as error:
        raise typer.Exit(EXIT_INTERRUPTED) from error


def _table(stages: list[Mapping[str, Any]]) -> Table:
    table = Table(title="Dev recall@10, size and PyTorch's single-thread speed after each stage")
    table.add_column("stage")
    for name in ("text to photo", "photo to text", "parameters", "ms a photo", "ms a sentence"):
        table.add_column(name, justify="right")
    for metrics in stages:
        dev = metrics["dev"]
        table.add_row(
            metrics["stage"],
            *(_recall(dev, way) for way in ("text_to_image", "image_to_text")),
            f"{sum(metrics['parameters'].values()) / 1e6:.2f} M",
            f"{metrics['torch_ms_per_photo']:.1f}",
            f"{metrics['torch_ms_per_sentence']:.1f}",
        )
    return table


def _recall(dev: Mapping[str, Any], way: str) -> str:
    value = dev.get(way, {}).get("recall@10", math.nan)
    return "no dev split" if math.isnan(value) else f"{100 * value:.1f}"
