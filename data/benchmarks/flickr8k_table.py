r"""The table of models: recall both ways, parameters, bytes, milliseconds on one thread.

Every checkpoint is first exported to an ONNX bundle in fp16, so that bytes and milliseconds
are those of what ships; a bundle is taken as it is. Recall is measured on all pairs.
Latency is measured on one thread with batch 1, for ready pixels and for sentences with
their tokenizing, in rounds over all models, so that whatever else the machine does hits all
of them alike; a figure is the median over rounds of each round's median.

    python data/benchmarks/flickr8k_table.py data/downloads/flickr8k/dev.jsonl \
        --model "teacher=runs/teacher/student" --model "student=runs/student/student" \
        --model "shipped, int8=data/default"
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer
from figures import HERE, stamp, write_figures
from named import named_folder
from rich.progress import Progress

from export.bundle import pack_bundle
from retrieval.corpora.pairs import CaptionedPhoto, flatten_captions, read_pairs
from retrieval.encode.load import open_encoder
from retrieval.encode.onnx import OnnxEncoder
from retrieval.encode.protocol import Encoder, Pixels
from retrieval.evaluate.latency import Latency, Timing, machine_name, measure_latency
from retrieval.evaluate.recall import RetrievalMetrics
from retrieval.evaluate.report import ModelReport, embed_pairs
from retrieval.evaluate.size import ModelSize, measure_size
from retrieval.evaluate.table import csv_table, markdown_table
from retrieval.models.checkpoint import load_checkpoint
from retrieval.spec.bundle import MANIFEST
from retrieval.spec.errors import LeanclipError
from retrieval.spec.files import write_text
from retrieval.vision.preprocess import load_pixels

PACKAGES = ("leanclip", "onnxruntime", "numpy", "pillow", "torch")
_TIMED_PHOTOS = 8
_TIMED_SENTENCES = 50
_CALLS_A_ROUND = 20


@dataclass
class Entry:
    """One row of the table, while it is measured."""

    name: str
    bundle: Path
    size: ModelSize
    exported: bool
    """Whether it was a checkpoint, and ``bundle`` is its temporary export."""
    metrics: RetrievalMetrics | None = None
    rounds: list[Latency] = field(default_factory=list)


def main(
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS.jsonl", help="Captioned photos.")],
    model: Annotated[
        list[str],
        typer.Option(metavar="NAME=FOLDER", help="Checkpoint or bundle; give one for each row."),
    ],
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of latency over all models.")] = 7,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "flickr8k_dev",
) -> None:
    """Measure every model on the same photos and print a Markdown table."""
    captioned = read_pairs(pairs)
    sources = [named_folder(one) for one in model]
    stamped = stamp(
        threads="1 for latency, all processors for recall",
        statistic=f"median of {rounds} rounds' medians of {_CALLS_A_ROUND} calls, batch 1",
        packages=PACKAGES,
    )
    with tempfile.TemporaryDirectory(prefix="leanclip-benchmark-") as folder:
        entries = [
            _entry(name, source, Path(folder) / str(number))
            for number, (name, source) in enumerate(sources)
        ]
        _measure_recall(entries, captioned)
        _measure_latency(entries, captioned, rounds)
        results = [_result(entry) for entry in entries]
    reports = [_report(entry) for entry in entries]
    write_figures(out, stamped=stamped, results=results, raw=_raw(entries))
    # For a spreadsheet the table itself is worth more than its rounds, which the JSON keeps.
    write_text(out.with_suffix(".csv"), csv_table(reports))
    typer.echo(markdown_table(reports), nl=False)


def _entry(name: str, source: Path, target: Path) -> Entry:
    if (source / MANIFEST).is_file():
        return Entry(name, source, measure_size(source), exported=False)
    typer.echo(f"exporting {name}", err=True)
    pack_bundle(load_checkpoint(source), target, precision="fp16")
    return Entry(name, target, measure_size(target), exported=True)


def _measure_recall(entries: Sequence[Entry], pairs: Sequence[CaptionedPhoto]) -> None:
    items = len(pairs) + sum(len(pair.captions) for pair in pairs)
    with Progress(*Progress.get_default_columns(), disable=not sys.stderr.isatty()) as bar:
        for entry in entries:
            task = bar.add_task(entry.name, total=items)
            embedded = embed_pairs(
                open_encoder(entry.bundle),
                pairs,
                advance=lambda done, task=task: bar.advance(task, done),  # type: ignore[misc]
            )
            entry.metrics = embedded.metrics()
            if embedded.unreadable:
                typer.echo(f"left out: {'; '.join(embedded.unreadable)}", err=True)


def _measure_latency(
    entries: Sequence[Entry], pairs: Sequence[CaptionedPhoto], rounds: int
) -> None:
    typer.echo("timing single photos and sentences", err=True)
    captions, _ = flatten_captions(pairs[:_TIMED_SENTENCES])
    encoders = [OnnxEncoder(entry.bundle, threads=1) for entry in entries]
    pixels = [_pixels(encoder, pairs) for encoder in encoders]
    for _ in range(rounds):
        for entry, encoder, ready in zip(entries, encoders, pixels, strict=True):
            entry.rounds.append(
                measure_latency(
                    encoder, ready, captions[:_TIMED_SENTENCES], threads=1, runs=_CALLS_A_ROUND
                )
            )


def _pixels(encoder: Encoder, pairs: Sequence[CaptionedPhoto]) -> Pixels:
    return np.stack([load_pixels(p.image, encoder.preprocessing) for p in pairs[:_TIMED_PHOTOS]])


def _report(entry: Entry) -> ModelReport:
    assert entry.metrics is not None
    return ModelReport(entry.name, entry.metrics, entry.size, _latency(entry.rounds))


def _latency(rounds: Sequence[Latency]) -> Latency:
    """One figure from all rounds."""
    photo, sentence = (
        Timing(
            median_ms=median(one.median_ms for one in timings),
            p90_ms=median(one.p90_ms for one in timings),
            runs=sum(one.runs for one in timings),
        )
        for timings in ([r.photo for r in rounds], [r.sentence for r in rounds])
    )
    return Latency(photo, sentence, threads=1, machine=machine_name())


def _result(entry: Entry) -> dict[str, Any]:
    bundle = OnnxEncoder(entry.bundle).bundle
    return {
        "model": entry.name,
        "source": "checkpoint, exported in fp16" if entry.exported else "bundle",
        "fingerprint": bundle.fingerprint,
        "parameters": entry.size.parameters,
        "bytes": entry.size.bytes,
        "files": [file.model_dump(mode="json", exclude={"sha256"}) for file in bundle.files],
        **_report(entry).to_dict(),
    }


def _raw(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    return [
        {
            "model": entry.name,
            "round": number,
            "median_ms_per_photo": latency.photo.median_ms,
            "median_ms_per_sentence": latency.sentence.median_ms,
        }
        for entry in entries
        for number, latency in enumerate(entry.rounds, start=1)
    ]


if __name__ == "__main__":
    try:
        typer.run(main)
    except LeanclipError as error:
        sys.exit(f"flickr8k_table: {error}")
