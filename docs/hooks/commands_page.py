"""Writes the page of all commands from their own help, so that it cannot differ from it."""

from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.core import TyperGroup
from typer.main import get_command

from retrieval.cli.app import COMMANDS, app

PAGE = "reference/commands.md"
_HEAD = """# Commands

What `leanclip COMMAND --help` says of each command. Every command prints results on standard
output and messages on standard error, and ends with 0, or with 1 and one line that says what is
wrong.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, PAGE, content=commands_page()))
    return files


def commands_page() -> str:
    """Markdown with a section for each command, in the order of `leanclip --help`."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    with group.make_context("leanclip", ["status"]) as context:
        sections = []
        for name, entry in COMMANDS.items():
            command = group.get_command(context, name)
            assert command is not None
            extra = f" Needs `leanclip[{entry.extra}]`." if entry.extra else ""
            sections.append(f"## {name}\n\n{entry.summary}{extra}\n")
            sections += _help(command, name, context)
    return "\n".join([_HEAD, *sections])


def _help(command: Any, name: str, parent: Any) -> list[str]:
    """What a command says of itself, and what those below it say."""
    context = type(parent)(command, info_name=name, parent=parent, max_content_width=88)
    shown = [f"```text\n{command.get_help(context)}\n```\n"]
    if isinstance(command, TyperGroup):
        for below, one in command.commands.items():
            shown += [f"### {name} {below}\n", *_help(one, below, context)]
    return shown
