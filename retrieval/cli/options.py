"""Options that mean the same in every command that has them."""

from pathlib import Path
from typing import Annotated

import typer

HomeOption = Annotated[
    Path | None,
    typer.Option(help="Folder of the catalog; else LEANCLIP_HOME, else the system's choice."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|BUNDLE|default",
        help="Model to use; else the one that the catalog was filled with.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print only JSON on standard output.")]
