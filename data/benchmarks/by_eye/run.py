"""What a model finds for thirty varied queries, on a sheet to look at.

    python data/benchmarks/by_eye/run.py
    python data/benchmarks/by_eye/run.py --model BUNDLE --photos ~/Pictures --out mine

The first searches the sample photos with the default model. What was found is written to
``OUT.csv`` and ``OUT.json``, and the sheet to ``OUT.jpg``, or where ``--sheet`` says: the sheet
of photos that may not be passed on belongs outside the repository. How many of the found photos
fit can only be said by somebody who looks at them; ``page.py`` beside this takes it from there.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from by_eye.judgements import Judgements
from by_eye.questions import Question, read_questions
from figures import HERE, PHOTOS, stamp, write_figures

from retrieval.encode.batches import encode_sentences
from retrieval.encode.load import open_encoder
from retrieval.encode.protocol import Encoder
from retrieval.search.library import Library
from retrieval.search.sheet import Section, sheet_kind, write_contact_sheet
from retrieval.spec.errors import LeanclipError

TOP = 6
PACKAGES = ("leanclip", "onnxruntime", "pillow", "numpy")


def main(
    model: Annotated[str, typer.Option(help="Bundle, or a name that `leanclip models` lists.")] = (
        "default"
    ),
    photos: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Folder of photos; may be repeated.  [the sample photos]"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "by_eye_sample",
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The sheet.  [OUT.jpg]")
    ] = None,
) -> None:
    """Index the photos in a library of their own, ask, and write what was found."""
    sheet = sheet or out.with_name(f"{out.name}.jpg")
    sheet_kind(sheet)
    stamped = stamp(
        threads="as the back end chooses",
        statistic=f"the {TOP} best photos of each query; does not vary between runs",
        packages=PACKAGES,
    )
    questions, encoder = read_questions(), open_encoder(model)
    with tempfile.TemporaryDirectory(prefix="leanclip-by-eye-") as home:
        sections, count = ask(questions, encoder, photos or [PHOTOS], Path(home))
    results = {
        "model": encoder.name,
        "fingerprint": encoder.fingerprint,
        "photos": count,
        "top": TOP,
        "turned": turned(questions, sections, encoder),
    }
    write_figures(out, stamped=stamped, results=results, raw=found(sections))
    titled = [
        Section(f"{question.asks_for}: {question.query}", section.hits)
        for question, section in zip(questions, sections, strict=True)
    ]
    write_contact_sheet(sheet, titled, small=True)
    typer.echo(said(questions, sections))
    typer.echo(f"contact sheet: {sheet}")


def ask(
    questions: Sequence[Question], encoder: Encoder, photos: Sequence[Path], home: Path
) -> tuple[list[Section], int]:
    """What each query finds among the photos of all folders, and how many these are."""
    with Library.open(home, encoder) as library:
        for folder in photos:
            typer.echo(f"indexing {folder}", err=True)
            library.ensure_index(folder)
        sections = [Section(one.query, library.search(one.query, top=TOP)) for one in questions]
        return sections, library.count()


def found(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """A row for each photo of each query."""
    return [
        {"query": section.title, "place": place, "photo": hit.path.name, "score": hit.score}
        for section in sections
        for place, hit in enumerate(section.hits, 1)
    ]


def turned(
    questions: Sequence[Question], sections: Sequence[Section], encoder: Encoder
) -> list[dict[str, Any]]:
    """Of each query and its turned one: the cosine of both, and how many photos they share."""
    photos = {one.title: {hit.photo_id for hit in one.hits} for one in sections}
    pairs = [(one.query, one.turned) for one in questions if one.turned is not None]
    rows = []
    for pair in pairs:
        first, second = encode_sentences(encoder, pair)
        shared = len(photos[pair[0]] & photos[pair[1]])
        rows.append(
            {"query": pair[0], "turned": pair[1], "cosine": float(first @ second), "shared": shared}
        )
    return rows


def said(questions: Sequence[Question], sections: Sequence[Section]) -> str:
    """How many of the photos fit, as far as somebody has looked at them."""
    judgements = Judgements()
    all_said = [
        judgements.fits(question, hit.path.name)
        for question, section in zip(questions, sections, strict=True)
        for hit in section.hits
    ]
    return (
        f"of {len(all_said)} photos shown, {all_said.count(True)} fit, "
        f"{all_said.count(False)} do not, {all_said.count(None)} are not judged"
    )


if __name__ == "__main__":
    try:
        typer.run(main)
    except LeanclipError as error:
        sys.exit(f"by_eye: {error}")
