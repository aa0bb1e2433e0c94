"""What ``leanclip fit`` leaves: a student, a recipe to fine-tune it, and tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from retrieval.compress.elastic.extract import Ordered
    from retrieval.compress.fit.search import Found, Point
    from retrieval.compress.prune.meter import Meter
    from retrieval.models.checkpoint import Checkpoint
    from retrieval.models.dual_encoder import DualEncoder
    from retrieval.spec.tower import Tower

_STUDENT = "student"
_RECIPE = "recipe.yaml"
_ADVICE = """\
# The shape that `leanclip fit` found, starting from the weights that it inherits.
# Name the training data, then: leanclip compress {recipe}
"""


def save_found(
    folder: Path,
    loaded: Checkpoint,
    source: Ordered,
    found: Mapping[Tower, Found],
    meter: Meter,
    *,
    ms: float,
    target: str,
) -> tuple[Path, dict[str, Any]]:
    """Write a checkpoint of the best shapes, and a recipe to fine-tune it.

    Args:
        folder: Where to put both.
        loaded: The checkpoint whose weights are inherited.
        source: Its model, in the order in which units go.
        found: What was found, by tower.
        meter: Measures the student.
        ms: Most milliseconds of each tower.
        target: Where they are measured.

    Returns:
        The checkpoint's folder, and what its metrics say of the search.
    """
    from retrieval.models.checkpoint import save_checkpoint

    student = _student(source, found)
    report = _report(loaded, found, student, meter, ms=ms, target=target)
    save_checkpoint(folder / _STUDENT, student, loaded.tokenizer, metrics={"fit": report})
    _write_recipe(folder / _RECIPE, student, tuple(found))
    return folder / _STUDENT, report


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

    from retrieval.spec.files import write_text

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
    write_text(path, text)


def show(found: Mapping[Tower, Found], target: str, ms: float) -> None:
    """Print a table of the shapes of each tower, and how near predicted times are.

    Args:
        found: What was found, by tower.
        target: Where milliseconds were measured.
        ms: Most milliseconds of each tower.
    """
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
