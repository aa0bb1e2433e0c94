"""Models as benchmarks are given them on the command line: each with a name for its row."""

from pathlib import Path

import typer


def named_folder(given: str) -> tuple[str, Path]:
    """Name and folder of ``NAME=FOLDER``; the name may hold equals signs.

    Raises:
        typer.BadParameter: It is nothing of the kind.
    """
    name, separator, folder = given.rpartition("=")
    if not separator or not name:
        raise typer.BadParameter(f"--model {given}: expected NAME=FOLDER")
    return name, Path(folder)
