"""Puts what was found and what was said of it into ``docs/explanation/what-it-sees.md``.

    python data/benchmarks/by_eye/page.py

Whether a photo fits stands in ``queries.yaml`` for the sample photos, and in
``judgements.csv`` for others. Photos that nobody has judged get a line without an answer there,
and the page is left as it is until each has its ``yes`` or ``no``.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import gender_words
from by_eye.judgements import Judgements
from by_eye.questions import Question, read_questions
from figures import REPOSITORY, measured, with_table

from retrieval.spec.files import write_text

PAGE = REPOSITORY / "docs" / "explanation" / "what-it-sees.md"
SAMPLE, UNLABELLED = "by_eye_sample", "by_eye_unlabelled"


def main() -> None:
    """Write the page anew, or say what is still to be judged."""
    questions, judgements = read_questions(), Judgements()
    missing = judgements.ask(
        (question, photo)
        for found in (measured(SAMPLE), measured(UNLABELLED))
        for question in questions
        for photo in shown(found, question)
    )
    for query, photo in missing:
        typer.echo(f"not judged: {query}: {photo}", err=True)
    if missing:
        sys.exit("write yes or no behind these in by_eye/judgements.csv, and run this again")
    write_text(PAGE, filled(PAGE.read_text("utf-8")))


def filled(page: str) -> str:
    """The page with its tables as they were last measured and judged."""
    tables: dict[str, Callable[[], str]] = {
        "by_eye": query_by_query,
        "turned": turned,
        "gender_words": men_and_women,
    }
    for name, table in tables.items():
        page = with_table(page, name, table())
    return page


def shown(found: dict[str, Any], question: Question) -> list[str]:
    """Names of the photos that a query found, best first."""
    return [row["photo"] for row in found["raw"] if row["query"] == question.query]


def query_by_query() -> str:
    """How many of the photos fit that each query found, in Markdown."""
    sample, unlabelled = measured(SAMPLE), measured(UNLABELLED)
    questions, judgements = read_questions(), Judgements()
    lines = [
        "| asks for | query | sample photos: found of those that fit | the first at place "
        f"| unlabelled photos: of {unlabelled['results']['top']} shown, fit |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    found = there = fit = 0
    for question in questions:
        here = _places(sample, question, judgements)
        others = len(_places(unlabelled, question, judgements))
        cell = f"{len(here)} of {len(question.sample)}" if question.sample else "there is none"
        first = here[0] if here else ""
        lines.append(f"| {question.asks_for} | {question.query} | {cell} | {first} | {others} |")
        found, there, fit = found + len(here), there + len(question.sample), fit + others
    total = sum(len(shown(unlabelled, question)) for question in questions)
    chance = there * sample["results"]["top"] / sample["results"]["photos"]
    lines += [
        f"| **all** | {len(questions)} queries | {found} of {there} | | {fit} of {total} |",
        "",
        f"Of the {there} sample photos that fit, chance would find {chance:.1f}. "
        f"{_origin([sample, unlabelled])}",
    ]
    return "\n".join(lines)


def turned() -> str:
    """What becomes of queries whose words stay and whose meaning turns, in Markdown."""
    sample, unlabelled = measured(SAMPLE)["results"], measured(UNLABELLED)["results"]
    lines = [
        "| query | turned | cosine of both sentences | same photos, sample | unlabelled |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for here, there in zip(sample["turned"], unlabelled["turned"], strict=True):
        lines.append(
            f"| {here['query']} | {here['turned']} | {here['cosine']:.3f} "
            f"| {here['shared']} of {sample['top']} | {there['shared']} of {unlabelled['top']} |"
        )
    return "\n".join(lines)


def men_and_women() -> str:
    """What `gender_words` counted, in Markdown."""
    found = measured("gender_words")
    return f"{gender_words.table(found['results'])}\n\n{_origin([found])}"


def _places(found: dict[str, Any], question: Question, judgements: Judgements) -> list[int]:
    """At which places, from 1, photos stand that fit."""
    photos = shown(found, question)
    return [place for place, photo in enumerate(photos, 1) if judgements.fits(question, photo)]


def _origin(found: Sequence[dict[str, Any]]) -> str:
    parts = [
        f"`{one['benchmark']}`: {one['results']['model']} ({one['results']['fingerprint'][:8]}), "
        f"{one['stamp']['date'][:10]}"
        for one in found
    ]
    return f"{'; '.join(parts)}."


if __name__ == "__main__":
    typer.run(main)
