"""The ``leanclip`` command: a table of sub-commands, each imported only when it is used."""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from retrieval.spec.errors import LeanclipError, MissingExtraError

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


class Command(NamedTuple):
    """Where a sub-command's function (or `typer.Typer`) lives, and what ``--help`` says of it."""

    module: str
    function: str
    summary: str
    extra: str | None = None
    """Extra that provides what the command imports, when the base install does not."""


COMMANDS: dict[str, Command] = {
    "search": Command("search", "search", "Find photos by a sentence or by a photo."),
    "similar": Command("similar", "similar", "Find photos that look like one."),
    "duplicates": Command("duplicates", "duplicates", "Find photos that are there twice."),
    "describe": Command("describe", "describe", "Say which labels fit a photo best."),
    "serve": Command("serve", "serve", "Search in the browser, on this machine.", "web"),
    "index": Command("index", "index", "Read a folder of photos into the catalog."),
    "status": Command("status", "status", "What is indexed, from which folders, by which model."),
    "watch": Command("watch", "watch", "Index photos as they come, change and go."),
    "forget": Command("forget", "forget", "Take photos or folders out of the catalog."),
    "vacuum": Command("vacuum", "vacuum", "Give back the space of photos that are gone."),
    "doctor": Command("doctor", "doctor", "Check catalog and vectors, and mend them."),
    "tune": Command("tune", "tune", "Search a large library within a budget."),
    "models": Command("models", "models", "List, fetch, choose and remove models."),
    "embed": Command("embed", "embed", "Embed photos by the million.", "distributed"),
    "fetch": Command("data", "fetch", "Fetch COCO or Flickr30k, in Karpathy's split."),
    "cache": Command("cache", "cache", "Store a teacher's embeddings of a corpus.", "train"),
    "compress": Command("compress", "compress", "Run a recipe: distil a small model.", "train"),
    "fit": Command("fit", "fit", "Find the best shape under a number of milliseconds.", "train"),
    "extract": Command("extract", "extract", "Cut a smaller model out of a checkpoint.", "train"),
    "evaluate": Command("evaluate", "evaluate", "Recall@k of a model on captioned photos."),
    "export": Command("export", "export", "Turn a checkpoint into a bundle.", "export"),
    "quantize": Command("quantize", "quantize", "Add files to a bundle.", "export"),
    "verify": Command("verify", "verify", "Prove that a bundle still retrieves.", "export"),
    "import": Command("import_model", "import_model", "Make a bundle of a stock model.", "export"),
    "probe": Command("probe", "probe", "Time a bundle's files, here or on a device."),
    "report": Command("report", "report", "Gather probes into one table and one plot."),
    "scenes": Command("scenes", "scenes", "Draw captioned scenes to learn or test on."),
    "demo": Command("demo", "demo", "The whole way on the sample photos, offline.", "export"),
}


class _InterruptedError(Exception):
    """Ctrl-C. Typer would answer a KeyboardInterrupt itself, with a status and no line."""


class LazyGroup(TyperGroup):
    """A command group that imports a sub-command's module only when it runs.

    Start-up stays fast, and a missing extra concerns only the command that needs it. The modules
    themselves import what does the work inside their functions, so that ``--help`` is fast, too.
    """

    # Any: the contexts that typer passes are of a class that it does not export.

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the table, which is the order of a user's journey."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and build one sub-command; None when there is none of that name."""
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else _load(cmd_name, entry)

    def invoke(self, ctx: Any) -> Any:
        """Run the sub-command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _InterruptedError from error
        except ModuleNotFoundError as error:
            _explain(ctx.invoked_subcommand or "", error)
            raise

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the summaries of the table, importing nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


def _explain(name: str, error: ModuleNotFoundError) -> None:
    """Raise what a user can act on, when a package of an extra is missing.

    Raises:
        MissingExtraError: The command needs an extra, and the missing module is not our own.
    """
    entry = COMMANDS.get(name)
    own = (error.name or "").partition(".")[0] in {"retrieval", "export"}
    if entry is not None and entry.extra is not None and not own:
        raise MissingExtraError(f"leanclip {name}", entry.extra) from error


def _load(name: str, entry: Command) -> Any:
    try:
        module = importlib.import_module(f"retrieval.cli.{entry.module}")
    except ModuleNotFoundError as error:
        _explain(name, error)
        raise
    function: typer.Typer | Callable[..., Any] = getattr(module, entry.function)
    if isinstance(function, typer.Typer):
        return get_command(function)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name=name)(function)
    return get_command(app)


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        # Reading package metadata costs more than the rest of the start-up.
        from importlib.metadata import version

        print(f"leanclip {version('leanclip')}")
        raise typer.Exit


@app.callback(no_args_is_help=True)
def leanclip(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Make CLIP small, search photos with it, and put it on a phone.

    \b
    leanclip search "two dogs running in snow" ~/Pictures
    leanclip compress recipe.yaml
    leanclip export runs/student bundle --to onnx
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: expected errors become one line on stderr and an exit status.

    Args:
        arguments: Sub-command and what follows it; by default those of the process.
    """
    try:
        app(args=arguments, prog_name="leanclip")
    except LeanclipError as error:
        _fail(str(error), EXIT_FAILED)
    except (_InterruptedError, KeyboardInterrupt):
        _fail("interrupted; what was finished is kept, run it again to go on", EXIT_INTERRUPTED)
    except OSError as error:
        # A full disk or a read-only folder is the user's to mend, not a bug of ours.
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}", EXIT_FAILED)


def _fail(message: str, status: int) -> NoReturn:
    print(f"leanclip: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
