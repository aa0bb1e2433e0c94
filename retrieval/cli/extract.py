"""``leanclip extract``: cut a smaller model out of a checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.options import JsonOption
from retrieval.spec.defaults import HOST
from retrieval.spec.errors import CheckpointError, RecipeError
from retrieval.spec.tower import Tower

if TYPE_CHECKING:
    from rich.table import Table

    from retrieval.compress.elastic.extract import Cut, Ordered
    from retrieval.compress.prune.budget import Budget
    from retrieval.compress.prune.meter import Meter
    from retrieval.corpora.pairs import CaptionedPhoto
    from retrieval.evaluate.recall import RetrievalMetrics
    from retrieval.models.checkpoint import Checkpoint
    from retrieval.models.dual_encoder import DualEncoder

_NOT_TRAINED = (
    "was not trained to be cut: units go by the magnitude of their weights, and recall falls "
    "fast; train it with an elastic stage first, or fine-tune the result"
)


def extract(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint folder.")],
    out: Annotated[Path, typer.Argument(help="Checkpoint folder to write.")],
    params: Annotated[
        str | None, typer.Option(metavar="COUNT", help="Most parameters: 5M, 800k.")
    ] = None,
    size: Annotated[
        str | None, typer.Option("--bytes", metavar="BYTES", help="Most bytes in fp32: 20MB.")
    ] = None,
    ms: Annotated[
        float | None,
        typer.Option(metavar="MS", help="Most milliseconds for a photo and for a sentence each."),
    ] = None,
    tower: Annotated[Tower | None, typer.Option(help="Limit and cut this tower alone.")] = None,
    target: Annotated[
        str,
        typer.Option(help="Where milliseconds are measured: host (ONNX Runtime) or torch."),
    ] = HOST,
    dev: Annotated[
        Path | None,
        typer.Option(metavar="PAIRS.jsonl", help="Captioned photos to measure recall on."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Cut a smaller model out of a checkpoint, for one class of device.

    A checkpoint of a stage with an elastic section holds smaller models, which were trained
    with it: the largest that meets the budget is taken, a tier or a size between tiers. Any
    other checkpoint is cut by the magnitude of its weights and needs fine-tuning. The result
    is an ordinary checkpoint.

    \b
    leanclip extract runs/elastic/student phone --ms 4
    leanclip extract runs/elastic/student watch --params 2M --dev dev.jsonl
    leanclip extract runs/elastic/student small-text --bytes 5MB --tower text
    """
    from rich.console import Console

    from retrieval.cli.meters import meter_for, meters
    from retrieval.compress.elastic.extract import ordered
    from retrieval.compress.elastic.nesting import read_nesting
    from retrieval.compress.prune.meter import SteadyMeter
    from retrieval.corpora.pairs import read_pairs
    from retrieval.models.checkpoint import load_checkpoint

    budget = _budget(params, size, ms, tower, target)
    _check_place(checkpoint, out)
    meter = SteadyMeter(meter_for(target, meters()))
    pairs = None if dev is None else read_pairs(dev)
    loaded = load_checkpoint(checkpoint)
    source = ordered(
        loaded.model, read_nesting(loaded.metrics), None if tower is None else (tower,)
    )
    cut = _cut(source, budget, loaded, meter)
    recall = {"before": loaded.metrics.get("dev"), "after": _known_recall(source, cut, loaded)}
    _save(out, loaded, cut, budget, source, recall["after"])
    if pairs is not None:
        places = {"before": checkpoint, "after": out}
        recall = {name: _measured(place, pairs) for name, place in places.items()}
    report = {
        "checkpoint": str(out),
        "trained": source.trained,
        "sizes": {side: tier.model_dump() for side, tier in cut.sizes.items()},
        **{
            name: {**_figures(model, loaded, meter), "dev": recall[name] or None}
            for name, model in (("before", loaded.model), ("after", cut.model))
        },
    }
    if not source.trained:
        Console(stderr=True, soft_wrap=True).print(f"{checkpoint} {_NOT_TRAINED}", markup=False)
    if as_json:
        print(json.dumps(report))
        return
    Console(soft_wrap=True).print(_table(report, target))
    print(out)


def _budget(
    params: str | None, size: str | None, ms: float | None, tower: Tower | None, target: str
) -> Budget:
    from pydantic import ValidationError

    from retrieval.compress.prune.budget import Budget

    given = {"parameters": params, "bytes": size, "ms": ms}
    limits = {name: value for name, value in given.items() if value is not None}
    if len(limits) != 1:
        raise RecipeError("give one of --params, --bytes and --ms")
    entries: dict[str, Any] = {**limits, "tower": tower}
    if ms is not None:
        entries["target"] = target
    try:
        return Budget.model_validate(entries)
    except ValidationError as error:
        option = {"parameters": "params"}.get(next(iter(limits)), next(iter(limits)))
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise RecipeError(f"--{option}: {message}") from error


def _check_place(checkpoint: Path, out: Path) -> None:
    """Refuse to replace anything but another checkpoint.

    Raises:
        CheckpointError: ``out`` is the checkpoint itself or holds something else.
    """
    from retrieval.models.checkpoint import WEIGHTS

    if out.resolve() == checkpoint.resolve():
        raise CheckpointError(f"{out} is the checkpoint to cut from; choose another folder")
    if out.exists() and not (out / WEIGHTS).is_file():
        raise CheckpointError(f"{out} exists and is not a checkpoint; choose another folder")


def _cut(source: Ordered, budget: Budget, loaded: Checkpoint, meter: Meter) -> Cut:
    from retrieval.cli.progress import progress_bar
    from retrieval.compress.elastic.extract import extract as extract_cut

    with progress_bar("trying sizes") as show:
        # Bisection over 128 sizes takes at most nine tries for each part that is cut.
        parts = len(source.towers) if budget.kind == "ms" and budget.tower is None else 1
        return extract_cut(
            source,
            budget,
            loaded.tokenizer,
            meter,
            progress=lambda tried: show(tried, 9 * parts),
        )


def _known_recall(source: Ordered, cut: Cut, loaded: Checkpoint) -> Mapping[str, Any] | None:
    """What training measured for this very size; None for a size between tiers."""
    if cut.model.config == loaded.config:
        whole: Mapping[str, Any] | None = loaded.metrics.get("dev")
        return whole
    if not source.trained or set(cut.sizes) != set(source.towers):
        return None
    for tier in loaded.metrics["elastic"].get("tiers", []):
        size = {"width": tier["width"], "depth": tier["depth"]}
        if all(one.model_dump() == size for one in cut.sizes.values()):
            figures: Mapping[str, Any] | None = tier.get("dev")
            return figures
    return None


def _save(
    out: Path,
    loaded: Checkpoint,
    cut: Cut,
    budget: Budget,
    source: Ordered,
    recall: Mapping[str, Any] | None,
) -> None:
    from retrieval.models.checkpoint import save_checkpoint

    metrics = {
        "extracted": {
            "from": loaded.fingerprint,
            "asked": budget.model_dump(mode="json", exclude_defaults=True),
            "reached": cut.figure,
            "sizes": {side: tier.model_dump() for side, tier in cut.sizes.items()},
            "trained": source.trained,
        },
        **({"dev": recall} if recall else {}),
    }
    save_checkpoint(out, cut.model, loaded.tokenizer, metrics=metrics, recipe=loaded.recipe)


def _measured(folder: Path, pairs: list[CaptionedPhoto]) -> Mapping[str, Any]:
    from retrieval.cli.progress import counting_bar
    from retrieval.evaluate.report import evaluate_model

    total = len(pairs) + sum(len(pair.captions) for pair in pairs)
    with counting_bar(f"embedding with {folder.name}", total) as advance:
        metrics: RetrievalMetrics = evaluate_model(str(folder), pairs, advance=advance).metrics
    return metrics.to_dict()


def _figures(model: DualEncoder, loaded: Checkpoint, meter: Meter) -> dict[str, Any]:
    from retrieval.models.dual_encoder import parameter_count

    parameters = {side: parameter_count(getattr(model, side)) for side in ("image", "text")}
    tokenizer = loaded.tokenizer
    return {
        "parameters": parameters,
        "bytes_fp32": 4 * sum(parameters.values()),
        "ms_per_photo": meter.milliseconds(model, tokenizer, "image"),
        "ms_per_sentence": meter.milliseconds(model, tokenizer, "text"),
    }


def _table(report: Mapping[str, Any], target: str) -> Table:
    from rich.table import Table

    from retrieval.compress.elastic.tiers import WHOLE

    sizes = ", ".join(
        f"{side} {100 * tier['width']:.0f} % wide"
        + ("" if tier["depth"] == WHOLE.depth else f" and {100 * tier['depth']:.0f} % deep")
        for side, tier in report["sizes"].items()
    )
    table = Table(title=f"{sizes}; milliseconds on {target}, one thread", title_justify="left")
    table.add_column("")
    for column in ("before", "after"):
        table.add_column(column, justify="right")
    before, after = report["before"], report["after"]

    def row(name: str, value: Any) -> None:
        table.add_row(name, value(before), value(after))

    row("parameters", lambda one: f"{sum(one['parameters'].values()) / 1e6:.2f} M")
    row("  image", lambda one: f"{one['parameters']['image'] / 1e6:.2f} M")
    row("  text", lambda one: f"{one['parameters']['text'] / 1e6:.2f} M")
    row("MB in fp32", lambda one: f"{one['bytes_fp32'] / 1e6:.2f}")
    row("ms a photo", lambda one: f"{one['ms_per_photo']:.2f}")
    row("ms a sentence", lambda one: f"{one['ms_per_sentence']:.2f}")
    for way, name in (("text_to_image", "text to photo"), ("image_to_text", "photo to text")):
        row(f"recall@10 {name}", lambda one, way=way: _recall(one["dev"], way))
    return table


def _recall(dev: Mapping[str, Any] | None, way: str) -> str:
    value = (dev or {}).get(way, {}).get("recall@10", math.nan)
    return "not known, see --dev" if math.isnan(value) else f"{100 * value:.1f}"
