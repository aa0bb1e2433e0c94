"""``leanclip compress``: run a recipe."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.app import EXIT_INTERRUPTED
from retrieval.cli.options import JsonOption

if TYPE_CHECKING:
    from rich.table import Table

    from retrieval.compress.plan.bill import Bill
    from retrieval.compress.recipe import Recipe


def compress(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe, as YAML.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run.  [default: runs/NAME-OF-RECIPE]")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="Instead of the recipe's seed; the run is then called NAME-seedSEED."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would cost; a few minutes.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Distil a small model from a teacher, stage by stage.

    Each stage writes a checkpoint folder with the recall, parameters and milliseconds that
    it reached; the last one is also OUT/student. Stop at any time with Ctrl-C: the same
    command goes on at the next step, with the same losses as if it had never stopped. A
    changed recipe runs again from the first stage that the change concerns.

    --dry-run runs a few real steps of each stage on this machine and reckons time, memory and
    disk of the whole from them. Where the data of a known data set are not here yet, it takes
    generated photos and the data set's sizes, and says so.

    \b
    leanclip compress data/recipes/flickr8k-student.yaml
    leanclip compress my-recipe.yaml --out runs/first-try
    leanclip compress my-recipe.yaml --seed 1    # how far do seeds lie apart?
    leanclip compress data/recipes/paper/coco-vit.yaml --dry-run
    leanclip evaluate runs/first-try/student dev.jsonl
    torchrun --nproc-per-node 4 -m retrieval.compress my-recipe.yaml
    """
    from rich.console import Console

    from retrieval.cli.meters import meters
    from retrieval.cli.progress import StageProgress
    from retrieval.compress.distributed.group import is_first_process, process_group
    from retrieval.compress.recipe import load_recipe
    from retrieval.compress.runner import run_recipe, stage_metrics

    loaded = load_recipe(recipe, seed=seed)
    folder = out or Path("runs") / loaded.name
    if dry_run:
        _show_bill(loaded, folder, as_json=as_json)
        return
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


def _show_bill(recipe: Recipe, folder: Path, *, as_json: bool) -> None:
    from rich.console import Console

    from retrieval.cli.progress import StageProgress
    from retrieval.compress.plan.plan import plan_recipe

    with StageProgress() as progress:
        bill = plan_recipe(recipe, folder, reporter=progress)
    if as_json:
        whole = {"seconds_left": bill.seconds_left, "memory": bill.memory, "disk": bill.disk}
        print(json.dumps(asdict(bill) | whole))
        return
    Console().print(_bill_table(bill))
    print(
        f"To do: {_duration(bill.seconds_left)} on {bill.machine}, "
        f"{_gigabytes(bill.memory)} of memory, {_gigabytes(bill.disk)} of disk."
    )
    for note in bill.notes:
        print(f"- {note}")


def _bill_table(bill: Bill) -> Table:
    from rich.table import Table

    table = Table(title=f"What {bill.recipe} would cost")
    table.add_column("step")
    table.add_column("what happens")
    for name in ("time", "memory", "GPU", "disk", "done"):
        table.add_column(name, justify="right")
    for step in bill.steps:
        table.add_row(
            step.name,
            step.what,
            "as the line allows" if step.seconds is None else _duration(step.seconds),
            _gigabytes(step.memory),
            _gigabytes(step.device_memory),
            _gigabytes(step.disk),
            f"{step.done:.0%}",
        )
    return table


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "under a minute" if seconds else "-"
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes:02} min"


def _gigabytes(size: int | None) -> str:
    return "-" if not size else f"{size / 1e9:.2f} GB"


def _follow(recipe: Recipe, folder: Path) -> None:
    """What the other processes do: their part of the work, and nothing that the first prints."""
    from retrieval.cli.meters import meters
    from retrieval.compress.distributed.group import process_group
    from retrieval.compress.runner import run_recipe

    try:
        with process_group():
            run_recipe(recipe, folder, meters=meters())
    except KeyboardInterrupt as error:
        raise typer.Exit(EXIT_INTERRUPTED) from error


def _table(stages: Sequence[Mapping[str, Any]]) -> Table:
    from rich.table import Table

    from retrieval.spec.ways import WAYS

    table = Table(title="Dev recall@10, size and PyTorch's single-thread speed after each stage")
    table.add_column("stage")
    for name in ("text to photo", "photo to text", "parameters", "ms a photo", "ms a sentence"):
        table.add_column(name, justify="right")
    for metrics in stages:
        dev = metrics["dev"]
        table.add_row(
            metrics["stage"],
            *(_recall(dev, way) for way in WAYS),
            f"{sum(metrics['parameters'].values()) / 1e6:.2f} M",
            f"{metrics['torch_ms_per_photo']:.1f}",
            f"{metrics['torch_ms_per_sentence']:.1f}",
        )
    return table


def _recall(dev: Mapping[str, Any], way: str) -> str:
    value = dev.get(way, {}).get("recall@10", math.nan)
    return "no dev split" if math.isnan(value) else f"{100 * value:.1f}"
