"""Help must not wait for libraries that only the work needs."""

import json
import subprocess
import sys

import pytest

from retrieval.cli.app import COMMANDS

HEAVY = (
    "torch", "onnxruntime", "faiss", "timm", "open_clip", "pyarrow", "matplotlib", "fastapi",
    "numpy", "PIL", "sqlite3",
)  # fmt: skip

HELP = f"""
import contextlib, io, json, sys
sys.argv = ["leanclip", *sys.argv[1:]]
from retrieval.cli.app import main
text = io.StringIO()
try:
    with contextlib.redirect_stdout(text):
        main()
except SystemExit as left:
    status = left.code
loaded = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([status, text.getvalue(), loaded]))
"""


def help_of(*command: str) -> tuple[int, str, list[str]]:
    """Exit status, text, and heavy modules that a process of its own has loaded after that."""
    done = subprocess.run(
        [sys.executable, "-c", HELP, *command, "--help"], capture_output=True, text=True, check=True
    )
    status, text, loaded = json.loads(done.stdout)
    return status or 0, text, loaded


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_imports_nothing_heavy(command: str) -> None:
    status, text, loaded = help_of(command)
    assert (status, loaded) == (0, [])
    assert f"Usage: leanclip {command}" in text


def test_help_of_leanclip_imports_not_even_numpy() -> None:
    code = HELP.replace(repr(HEAVY), repr((*HEAVY, "pydantic", "rich")))
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)[2] == []


def test_help_names_every_format_that_can_be_written() -> None:
    from export.targets.registry import FORMATS

    assert ", ".join(FORMATS) in " ".join(help_of("export")[1].split())
