"""What each platform's way to shrink photos costs the default model in recall.

The same photos are shrunk by the model's own filter and by stand-ins for those of Android,
Apple systems and browsers (`retrieval.vision.resizing` says how far each can be trusted),
embedded by the same model, and searched with the same sentences. Flickr8k's dev photos come
here as squares of 224 pixels, which hardly shrink; the sample photos are larger and not
square, so they show more in the cosines, but are too few for fine differences in recall.

    python data/benchmarks/resizing.py
    python data/benchmarks/resizing.py --model runs/resizing/checkpoint --out runs/resizing/after
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from figures import HERE, PHOTOS, REPOSITORY, stamp, write_figures

from export.verify.resizing import ResizingCost, measure_resizing
from retrieval.corpora.pairs import read_pairs
from retrieval.encode.load import open_encoder
from retrieval.encode.protocol import Encoder
from retrieval.spec.ways import WAYS

DATA = (REPOSITORY / "data" / "downloads" / "flickr8k" / "dev.jsonl", PHOTOS / "pairs.jsonl")
TARGET = 0.3
"""Points of mean recall that a filter may cost."""
PACKAGES = ("leanclip", "onnxruntime", "pillow", "numpy")


def main(
    model: Annotated[str, typer.Option(help="Bundle or checkpoint.")] = "default",
    data: Annotated[
        list[Path] | None, typer.Option(help="Captioned photos; may be repeated.")
    ] = None,
    photos: Annotated[int | None, typer.Option(min=1, help="Take only the first.")] = None,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "resizing",
) -> None:
    """Embed the photos once for each filter and write what each loses."""
    encoder = open_encoder(model)
    stamped = stamp(
        threads="as the back end chooses",
        statistic="one pass over all photos; recall does not vary between runs",
        packages=PACKAGES,
    )
    results: dict[str, Any] = {"model": encoder.name, "fingerprint": encoder.fingerprint}
    raw = []
    for path in data or DATA:
        costs = measure(encoder, path, photos)
        # Folders of the machine are nobody's business.
        inside = path.absolute().is_relative_to(REPOSITORY)
        name = path.absolute().relative_to(REPOSITORY).as_posix() if inside else path.name
        results[name] = summarise(costs)
        raw += [{"data": name, **row(cost)} for cost in costs]
        typer.echo(f"\n{name}\n{table(costs)}")
    write_figures(out, stamped=stamped, results=results, raw=raw)


def measure(encoder: Encoder, path: Path, photos: int | None) -> list[ResizingCost]:
    """Costs on one file of captioned photos, with a bar on standard error."""
    pairs = read_pairs(path)[:photos]
    with typer.progressbar(length=len(pairs), label=path.name, file=sys.stderr) as bar:
        return measure_resizing(encoder, pairs, advance=bar.update)


def summarise(costs: list[ResizingCost]) -> dict[str, Any]:
    """How many photos there were, and which filters miss the target."""
    return {
        "photos": costs[0].recall["photos"],
        "captions": costs[0].recall["captions"],
        "target_points": TARGET,
        "above_target": [cost.resizing for cost in costs if cost.cost > TARGET],
    }


def row(cost: ResizingCost) -> dict[str, Any]:
    """One line of the CSV file."""
    recalls = {
        f"{way}_{name}": cost.recall[way][name]
        for way in WAYS
        for name in ("recall@1", "recall@5", "recall@10")
    }
    return {
        "resizing": cost.resizing,
        "stands_for": cost.stands_for,
        "worst_cosine": cost.worst_cosine,
        "median_cosine": cost.median_cosine,
        **recalls,
        "mean_recall": cost.mean_recall,
        "cost_points": cost.cost,
        **{f"cost_points_{way}_at_10": lost for way, lost in cost.cost_at_10.items()},
    }


def table(costs: list[ResizingCost]) -> str:
    """Markdown, for the README."""
    lines = [
        "| filter | stands for | worst cosine | mean recall | cost, points |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {cost.resizing} | {cost.stands_for} | {cost.worst_cosine:.4f} "
        f"| {100 * cost.mean_recall:.2f} % | {cost.cost:+.2f} |"
        for cost in costs
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
