"""Puts the tables of the reliability benchmarks into ``docs/reliability.md``.

Each table stands between two comments, ``<!-- NAME -->`` and ``<!-- /NAME -->``, and is made
from ``NAME.json``, which the benchmark NAME wrote. Where it has not been run, nothing stands
there.

    python data/benchmarks/reliability.py
"""

from typing import Any

import clients
import kill_indexing
import many_files
import typer
from figures import REPOSITORY, measured, with_table

from retrieval.spec.files import write_text

PAGE = REPOSITORY / "docs" / "reliability.md"
BENCHMARKS = {"kill_indexing": kill_indexing, "clients": clients, "many_files": many_files}


def main() -> None:
    """Write the page anew."""
    text = filled(PAGE.read_text("utf-8"))
    write_text(PAGE, text)
    for name in BENCHMARKS:
        state = "filled in" if measured(name) else "not measured yet"
        typer.echo(f"{name}: {state}")


def filled(page: str) -> str:
    """The page with each table as it was last measured."""
    for name in BENCHMARKS:
        found = measured(name)
        page = with_table(page, name, _described(name, found) if found else "")
    return page


def _described(name: str, found: dict[str, Any]) -> str:
    stamp = found["stamp"]
    where = f"{stamp['machine']}, {stamp['date'][:10]}; {stamp['statistic']}."
    return f"{BENCHMARKS[name].table(found['results'])}\n\n{where}"


if __name__ == "__main__":
    typer.run(main)
