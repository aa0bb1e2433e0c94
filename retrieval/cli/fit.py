"""``leanclip fit``: find the shape of a student under a number of milliseconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.options import JsonOption
from retrieval.compress.fit.settings import Search
from retrieval.spec.defaults import HOST
from retrieval.spec.errors import CheckpointError, RecipeError
from retrieval.spec.tower import Tower

if TYPE_CHECKING:
    from rich.table import Table

    from retrieval.compress.elastic.extract import Ordered
    from retrieval.compress.fit.findings import Findings
    from retrieval.compress.fit.search import Found, Point
    from retrieval.compress.prune.meter import Meter
    from retrieval.corpora.pairs import CaptionedPhoto
    from retrieval.models.checkpoint import Checkpoint
    from retrieval.models.dual_encoder import DualEncoder

_STUDENT = "student"
_RECIPE = "recipe.yaml"
_SPACE = {"widths", "layers", "per_layer"}
_ADVICE = """\
# The shape that `leanclip fit` found, starting from the weights that it inherits.
# Name the training data, then: leanclip compress {recipe}
"""


def fit(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint folder to take weights from.")],
    pairs: Annotated[
        Path,
        typer.Argument(metavar="PAIRS.jsonl", help="Captioned photos of a dev split."),
    ],
    ms: Annotated[
        float, typer.Option(metavar="MS", min=0.001, help="Most milliseconds of each tower.")
    ],
    target: Annotated[
        str, typer.Option(help="Where they are measured: host (ONNX Runtime) or torch.")
    ] = HOST,
    tower: Annotated[
        Tower | None, typer.Option(help="Search this tower alone.  [default: both]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the result.  [default: runs/fit-CHECKPOINT]")
    ] = None,
    measure: Annotated[
        int, typer.Option(min=8, help="Shapes to measure before the search.")
    ] = Search().measured,
    population: Annotated[
        int, typer.Option(min=2, help="Shapes in each generation.")
    ] = Search().population,
    generations: Annotated[
        int, typer.Option(min=1, help="Generations of the search.")
    ] = Search().generations,
    photos: Annotated[
        int, typer.Option(min=2, help="Photos of the file to judge by, the first ones.")
    ] = Search().photos,
    per_layer: Annotated[
        bool, typer.Option("--per-layer", help="Choose heads and neurons for each layer.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Find the shape of a student that retrieves best within a number of milliseconds.

    Some shapes are measured on the target, a predictor is fitted to them, and an evolution
    over shapes near the target keeps those whose weights, inherited from the checkpoint
    without training, have the best recall. The best is measured before it is chosen.
    Rankings are most reliable when the checkpoint comes from a stage with an elastic section,
    whose smaller models were trained.

    OUT gets a checkpoint of the shape (student), a recipe to fine-tune it (recipe.yaml), and
    for each tower a plot of recall against milliseconds and the measurements, which a second
    run uses again: run it with more --generations, or after Ctrl-C.

    \b
    leanclip fit runs/elastic/student dev.jsonl --ms 5
    leanclip fit runs/elastic/student dev.jsonl --ms 2 --tower text --out runs/text-2ms
    leanclip fit teacher dev.jsonl --ms 8 --measure 12 --population 8 --generations 3
    """
    from retrieval.cli.meters import meter_for, meters
    from retrieval.cli.progress import StageProgress
    from retrieval.compress.elastic.extract import ordered
    from retrieval.compress.elastic.nesting import read_nesting
    from retrieval.compress.fit.plot import plot_front
    from retrieval.compress.fit.search import make_search
    from retrieval.compress.fit.space import Space
    from retrieval.compress.prune.meter import SteadyMeter
    from retrieval.corpora.pairs import read_pairs
    from retrieval.models.checkpoint import load_checkpoint, save_checkpoint

    settings = _settings(
        measured=measure,
        population=population,
        generations=generations,
        photos=photos,
        per_layer=per_layer or None,
        seed=seed,
    )
    meter = SteadyMeter(meter_for(target, meters()))
    captioned = read_pairs(pairs)
    loaded = load_checkpoint(checkpoint)
    folder = _place(checkpoint, out)
    source = ordered(
        loaded.model, read_nesting(loaded.metrics), None if tower is None else (tower,)
    )
    found: dict[Tower, Found] = {}
    with StageProgress() as progress:
        if not source.trained:
            progress.tell(
                f"{checkpoint} has no smaller models that were trained: recall before "
                "fine-tuning is low, and ranks shapes less reliably"
            )
        for side in source.towers:
            findings = _findings(folder, side, settings, loaded, captioned, target)
            search = make_search(
                source, Space(source, side, settings), settings, loaded.tokenizer, captioned,
                meter=meter, findings=findings, reporter=progress,
            )  # fmt: skip
            found[side] = search.run(ms)
            plot_front(folder / f"{side}.png", found[side], target=ms, title=_title(side, target))
    student = _student(source, found)
    report = _report(loaded, found, student, meter, ms=ms, target=target)
    save_checkpoint(folder / _STUDENT, student, loaded.tokenizer, metrics={"fit": report})
    _write_recipe(folder / _RECIPE, student, tuple(found))
    if as_json:
        print(json.dumps({"student": str(folder / _STUDENT), **report}))
        return
    _show(found, target, ms)
    print(folder / _STUDENT)


def _place(checkpoint: Path, out: Path | None) -> Path:
    folder = out or Path("runs") / f"fit-{checkpoint.resolve().name}"
    if folder.resolve() == checkpoint.resolve() or (folder / "config.json").exists():
        raise CheckpointError(f"{folder} is a checkpoint; choose another --out")
    return folder


def _settings(**entries: Any) -> Search:
    from pydantic import ValidationError

    try:
        return Search.model_validate(entries)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(f"--{first['loc'][0]}: {first['msg']}") from error


def _findings(
    folder: Path,
    side: Tower,
    settings: Search,
    loaded: Checkpoint,
    pairs: Sequence[CaptionedPhoto],
    target: str,
) -> Findings:
    """Figures of earlier runs on the same checkpoint, machine and photos."""
    from retrieval.compress.fit.findings import Findings
    from retrieval.evaluate.latency import machine_name
    from retrieval.spec.files import sha256_json

    shapes = {
        "checkpoint": loaded.fingerprint,
        "tower": side,
        "space": settings.model_dump(mode="json", include=_SPACE),
    }
    judged = [[str(pair.image.resolve()), *pair.captions] for pair in pairs[: settings.photos]]
    return Findings(
        folder / f"{side}.json",
        {
            "milliseconds": {**shapes, "target": target, "machine": machine_name()},
            "recall": {**shapes, "pairs": sha256_json(judged)},
        },
    )


def _student(source: Ordered, found: Mapping[Tower, Found]) -> DualEncoder:
    from retrieval.compress.prune.select import indices
    from retrieval.models.surgery.shrink import shrink

    keep = {name: mask for one in found.values() for name, mask in one.keep.items()}
    return shrink(source.model, indices(keep))


def _report(
    loaded: Checkpoint,
    found: Mapping[Tower, Found],
    student: DualEncoder,
    meter: Meter,
    *,
    ms: float,
    target: str,
) -> dict[str, Any]:
    from retrieval.evaluate.latency import machine_name

    return {
        "from": loaded.fingerprint,
        "ms": ms,
        "target": target,
        "machine": machine_name(),
        "towers": {
            side: {
                "measured_ms": meter.milliseconds(student, loaded.tokenizer, side),
                **one.figures,
            }
            for side, one in found.items()
        },
    }


def _write_recipe(path: Path, student: DualEncoder, towers: tuple[Tower, ...]) -> None:
    """What `leanclip compress` needs to fine-tune the shape, but for the data."""
    import yaml

    from retrieval.spec.files import replacing

    config = student.config.model_dump(mode="json", exclude_defaults=True)
    kinds = {"image": student.config.image.kind, "text": student.config.text.kind}
    recipe = {
        "name": f"{student.config.name}-fitted",
        "student": {
            "name": f"{student.config.name}-fitted",
            "embedding_dim": config["embedding_dim"],
            **{side: {"kind": kind, **config[side]} for side, kind in kinds.items()},
            "preprocessing": config["preprocessing"],
            "start": {"checkpoint": _STUDENT},
        },
        "data": {"pairs": ["train.jsonl"], "dev": "dev.jsonl"},
        "stages": [{"stage": "finetune", "towers": [*towers], "losses": {"pairs": 1}}],
    }
    text = _ADVICE.format(recipe=path) + yaml.safe_dump(recipe, sort_keys=False)
    with replacing(path) as temporary:
        temporary.write_text(text, "utf-8")


def _show(found: Mapping[Tower, Found], target: str, ms: float) -> None:
    from rich.console import Console

    console = Console(soft_wrap=True)
    for side, one in found.items():
        console.print(_table(side, one, target, ms))
        accuracy = one.accuracy
        console.print(
            f"predicted times of {accuracy.shapes} shapes that were held out are off by "
            f"{100 * accuracy.median:.1f} % in the median, {100 * accuracy.worst:.1f} % at worst",
            highlight=False,
        )


def _title(side: Tower, target: str) -> str:
    return f"Shapes of the {side} tower, {target}, one thread"


def _table(side: Tower, found: Found, target: str, ms: float) -> Table:
    from rich.table import Table

    table = Table(
        title=f"Front of {len(found.points)} shapes of the {side} tower on {target}, {ms:g} ms",
        title_justify="left",
    )
    table.add_column("")
    for column in ("ms", "recall before fine-tuning", "shape"):
        table.add_column(column, justify="left" if column == "shape" else "right")
    for point in found.front:
        mark = "chosen" if point == found.best else ""
        time = f"{point.milliseconds:.2f}" + ("" if point.measured else " predicted")
        table.add_row(mark, time, f"{100 * point.recall:.1f}", _shape(point))
    if found.best not in found.front:
        best = found.best
        time, recall = f"{best.milliseconds:.2f}", f"{100 * best.recall:.1f}"
        table.add_row("chosen", time, recall, _shape(best))
    return table


def _shape(point: Point) -> str:
    if len(point.units) <= 8:
        return ", ".join(f"{count} {name}" for name, count in point.units.items())
    return f"{sum(point.units.values())} units of {len(point.units)} groups"
