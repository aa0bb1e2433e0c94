r"""What one elastic training is worth: recall of the text towers cut from it, size by size.

Beside each stands the tower of the same size cut from the plain checkpoint that the elastic
training began with, by the magnitude of its weights and without any fine-tuning: this is what
``leanclip extract`` gives without an elastic stage. The photo tower is that of the plain
checkpoint for all. Milliseconds are ONNX Runtime's for one sentence on one thread, in rounds
over all towers.

    leanclip compress data/recipes/flickr8k-elastic.yaml --out runs/elastic
    python data/benchmarks/elastic_sizes.py runs/elastic/student data/teacher \
        data/downloads/flickr8k/dev.jsonl
"""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer
from figures import HERE, stamp, write_figures

from retrieval.cli.meters import meter_for, meters
from retrieval.compress.elastic.extract import ordered
from retrieval.compress.elastic.nesting import read_nesting
from retrieval.compress.elastic.tiers import WHOLE, Tier
from retrieval.compress.embed import embed_ids, embed_photos
from retrieval.compress.prune.select import indices
from retrieval.corpora.pairs import CaptionedPhoto, flatten_captions, read_pairs
from retrieval.evaluate.recall import evaluate_retrieval
from retrieval.models.checkpoint import Checkpoint, load_checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.surgery.shrink import shrink
from retrieval.spec.defaults import HOST
from retrieval.spec.errors import LeanclipError
from retrieval.spec.ways import WAYS


@dataclass
class Entry:
    """A tower of one size, while it is measured."""

    source: str
    tier: Tier
    model: DualEncoder
    recall: dict[str, Any] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)

    @property
    def parameters(self) -> int:
        """Of the text tower."""
        return sum(weights.numel() for weights in self.model.text.parameters())


def main(
    elastic: Annotated[Path, typer.Argument(help="Checkpoint of an elastic training.")],
    plain: Annotated[Path, typer.Argument(help="Checkpoint that it began with.")],
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS.jsonl", help="Captioned photos.")],
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of timing.")] = 7,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "elastic_sizes",
) -> None:
    """Cut both checkpoints to every trained size and measure what comes out."""
    stamped = stamp(
        threads="1 for milliseconds, all processors for recall",
        statistic=f"median of {rounds} rounds",
        packages=("leanclip", "torch", "onnxruntime"),
    )
    captioned = read_pairs(pairs)
    trained, untrained = load_checkpoint(elastic), load_checkpoint(plain)
    nesting = read_nesting(trained.metrics)
    if nesting is None:
        raise typer.BadParameter(f"{elastic} was not trained with an elastic section")
    tiers = (WHOLE, *nesting.tiers)
    entries = [*cuts("elastic", trained, tiers), *cuts("plain", untrained, tiers)]
    measure_recall(entries, untrained, captioned)
    meter = meter_for(HOST, meters())
    for _ in range(rounds):
        for entry in entries:
            entry.milliseconds.append(meter.milliseconds(entry.model, untrained.tokenizer, "text"))
    results = [result(entry) for entry in entries]
    raw = [
        {"source": entry.source, **entry.tier.model_dump(), "round": number, "ms": milliseconds}
        for entry in entries
        for number, milliseconds in enumerate(entry.milliseconds, start=1)
    ]
    write_figures(out, stamped=stamped, results=results, raw=raw)
    typer.echo(table(results))


def cuts(name: str, checkpoint: Checkpoint, tiers: Sequence[Tier]) -> Iterator[Entry]:
    """The checkpoint's text tower in every size."""
    source = ordered(checkpoint.model, read_nesting(checkpoint.metrics), ("text",))
    for tier in tiers:
        yield Entry(name, tier, shrink(source.model, indices(source.keep({"text": tier}))))


def measure_recall(
    entries: Sequence[Entry], plain: Checkpoint, pairs: Sequence[CaptionedPhoto]
) -> None:
    """Fill in `Entry.recall`, with photos embedded once."""
    sentences, owner = flatten_captions(pairs)
    photos = [pair.image for pair in pairs]
    images = embed_photos(plain.model.eval(), photos, workers=os.cpu_count() or 1).numpy()
    ids = plain.tokenizer.batch(sentences)
    for entry in entries:
        texts = embed_ids(entry.model.eval(), ids).numpy()
        entry.recall = evaluate_retrieval(images, texts, np.asarray(owner)).to_dict()


def result(entry: Entry) -> dict[str, Any]:
    """What an entry's figures come to."""
    return {
        "source": entry.source,
        **entry.tier.model_dump(),
        "parameters": entry.parameters,
        "ms": median(entry.milliseconds),
        **entry.recall,
    }


def table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown: size, milliseconds, and recall@10 both ways of both cuts."""
    lines = [
        "| width | depth | M parameters | ms | elastic R@10 | plain R@10 |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    half = len(results) // 2
    for elastic, plain in zip(results[:half], results[half:], strict=True):
        lines.append(
            f"| {elastic['width']:.0%} | {elastic['depth']:.0%} "
            f"| {elastic['parameters'] / 1e6:.2f} | {elastic['ms']:.2f} "
            f"| {both_ways(elastic)} | {both_ways(plain)} |"
        )
    return "\n".join(lines)


def both_ways(figures: dict[str, Any]) -> str:
    """Recall@10 in per cent, photo by sentence and sentence by photo."""
    ways = (figures[way]["recall@10"] for way in WAYS)
    return " / ".join(f"{100 * recall:.1f}" for recall in ways)


if __name__ == "__main__":
    try:
        typer.run(main)
    except LeanclipError as error:
        sys.exit(f"elastic_sizes: {error}")
