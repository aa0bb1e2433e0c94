r"""Teachers that were tried: recall of each, and of several whose similarities are averaged.

An average of similarities is itself a dual encoder, whose embeddings are those of its members
side by side. It says how much a student of all of them could learn.

    python data/benchmarks/teachers.py data/downloads/flickr8k/dev.jsonl \
        --model "first=runs/first-teacher/student" --model "second=runs/teacher/student" \
        --average "both=first + second"
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from figures import HERE, REPOSITORY, stamp, with_table, write_figures
from named import named_folder

from retrieval.corpora.pairs import read_pairs
from retrieval.encode.load import open_encoder
from retrieval.evaluate.recall import RetrievalMetrics, evaluate_retrieval
from retrieval.evaluate.report import EmbeddedPairs, embed_pairs
from retrieval.spec.errors import LeanclipError
from retrieval.spec.files import write_text

PACKAGES = ("leanclip", "torch", "numpy", "pillow")
PAGE = REPOSITORY / "docs" / "explanation" / "teacher.md"
TABLE = "teachers"


def main(
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS.jsonl", help="Captioned photos of dev.")],
    model: Annotated[
        list[str], typer.Option(metavar="NAME=FOLDER", help="A checkpoint; give one for each row.")
    ],
    average: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=MODEL + MODEL", help="Whose similarities to average."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "teachers",
    page: Annotated[Path, typer.Option(help="Page in which the table stands.")] = PAGE,
) -> None:
    """Measure teachers alone and together, and put the table into its page."""
    captioned = read_pairs(pairs)
    folders = dict(named_folder(one) for one in model)
    together = dict(_members(one, folders) for one in average or [])
    stamped = stamp(threads="all", statistic="recall on all pairs, once", packages=PACKAGES)
    embedded = {}
    for name, folder in folders.items():
        typer.echo(f"embedding {name}", err=True)
        embedded[name] = embed_pairs(open_encoder(folder), captioned)
    found = {name: one.metrics() for name, one in embedded.items()}
    for name, members in together.items():
        found[name] = _averaged([embedded[member] for member in members])
    rows = [_row(name, metrics) for name, metrics in found.items()]
    write_figures(out, stamped=stamped, results={"photos": len(captioned)}, raw=rows)
    table = _table(rows)
    write_text(page, with_table(page.read_text("utf-8"), TABLE, table))
    typer.echo(table)


def _members(average: str, known: Mapping[str, Path]) -> tuple[str, list[str]]:
    name, separator, listed = average.partition("=")
    members = [member.strip() for member in listed.split(" + ")]
    unknown = [member for member in members if member not in known]
    if not separator or unknown or len(members) < 2:
        raise typer.BadParameter(
            f"--average {average}: expected NAME=MODEL + MODEL, two or more of {', '.join(known)}"
        )
    return name, members


def _averaged(members: Sequence[EmbeddedPairs]) -> RetrievalMetrics:
    """Recall by the mean of the members' cosines."""
    each = len(members) ** -0.5
    images, texts = (
        each * np.concatenate([getattr(one, side) for one in members], axis=1)
        for side in ("images", "texts")
    )
    return evaluate_retrieval(images, texts, members[0].photo_of_caption)


def _row(name: str, metrics: RetrievalMetrics) -> dict[str, Any]:
    ways = (("text to photo", metrics.text_to_image), ("photo to text", metrics.image_to_text))
    recalls = {f"{way} R@{k}": one.recall[k] for way, one in ways for k in (1, 5, 10)}
    return {"teacher": name, **recalls}


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "| teacher | text to photo R@1/5/10 | photo to text R@1/5/10 |",
        "|---|---:|---:|",
    ]
    for row in rows:
        name, *recalls = row.values()
        percent = [f"{100 * value:.1f}" for value in recalls]
        lines.append(f"| {name} | {' / '.join(percent[:3])} | {' / '.join(percent[3:])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        typer.run(main)
    except LeanclipError as error:
        sys.exit(f"teachers: {error}")
