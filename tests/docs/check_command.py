"""Whether a command could run: its program, options, extras, verbs and files exist."""

import re
import tomllib

import typer
from typer.core import TyperGroup
from typer.main import get_command

from retrieval.cli.app import app
from tests.docs.fences import ROOT
from tests.docs.shell import Command

# Newer versions of typer carry a click of their own, whose errors are not those of `click`.
UsageError = typer.BadParameter.__base__
assert UsageError is not None

# Programs of other people, whose arguments are theirs to check.
FOREIGN = frozenset({"git", "curl", "npm", "adb", "jq", "column", "xargs", "cp", "mkdir", "gradle"})


def check(command: Command) -> None:
    """Fail with what is wrong, if a command calls what is not there."""
    program, *arguments = command.words
    while "=" in program and arguments:  # such as OMP_NUM_THREADS=1
        program, *arguments = arguments
    if program == "leanclip":
        check_arguments(arguments)
    elif program == "torchrun":
        module = arguments.index("-m")
        assert arguments[module + 1] == "retrieval.compress", str(command)
        check_arguments(["compress", *arguments[module + 2 :]])
    elif program == "pip":
        _check_extras(arguments, str(command))
    elif program == "make":
        _check_verbs(arguments, str(command))
    elif program in {"python", "python3", "node"}:
        _check_script(arguments, str(command))
    else:
        assert program in FOREIGN, f"{command}: teach tests/docs/check_command.py {program!r}"


def check_arguments(arguments: list[str]) -> None:
    """Parse them as `leanclip` would, running nothing.

    Raises:
        UsageError: There is no such command, option or choice, or an argument is missing.
    """
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    if arguments == ["COMMAND", "--help"]:
        return
    with group.make_context("leanclip", list(arguments)) as context:
        _parse(group, context, arguments)


def _parse(group: TyperGroup, context: typer.Context, arguments: list[str]) -> None:
    name, *rest = arguments
    command = group.get_command(context, name)
    if command is None:
        raise UsageError(f"there is no leanclip {name}")
    if {"--help", "-h"} & set(rest):
        return
    inner = command.make_context(name, list(rest), parent=context)
    if isinstance(command, TyperGroup) and set(rest) & set(command.commands):
        _parse(command, inner, rest)


def _check_extras(arguments: list[str], where: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for asked in re.findall(r"(?:leanclip|\.)\[([\w,]+)\]", " ".join(arguments)):
        for extra in asked.split(","):
            assert extra in project["optional-dependencies"], f"{where}: no extra {extra}"


def _check_verbs(arguments: list[str], where: str) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for argument in arguments:
        name, is_variable, _ = argument.partition("=")
        known = rf"^{name} \??=" if is_variable else rf"^{name}:"
        assert re.search(known, makefile, re.MULTILINE), f"{where}: no {name} in the Makefile"


def _check_script(arguments: list[str], where: str) -> None:
    script = arguments[0]
    if script != "-m":
        # Tutorials stand beside the checkout, other pages inside it.
        assert (ROOT / script.removeprefix("leanclip/")).is_file(), f"{where}: no {script}"
