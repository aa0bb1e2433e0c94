"""``leanclip models``: which models are here; fetch, choose and remove them."""

import json
import os
from dataclasses import asdict
from typing import Annotated, Any

import typer

from retrieval.catalog.location import library_home
from retrieval.cli.options import JsonOption
from retrieval.cli.photos import note
from retrieval.hub.names import (
    DEFAULT,
    ENVIRONMENT,
    default_bundle,
    model_folder,
    remembered_name,
)
from retrieval.hub.store import (
    choose_default,
    installed_models,
    packaged_model,
    remove_model,
    unfinished_models,
)
from retrieval.hub.summary import Summary, summary_of
from retrieval.spec.bundle import Bundle, read_bundle
from retrieval.spec.errors import BundleError

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As leanclip models lists it.")]

models = typer.Typer(add_completion=False, rich_markup_mode=None)


@models.callback(invoke_without_command=True)
def list_models(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the models that --model knows by name; fetch, choose and remove them.

    Recall is what the model's own report says, on the photos that it was measured with: compare
    models on photos of your own with leanclip evaluate.

    \b
    leanclip models
    leanclip models fetch hf:ORG/NAME
    leanclip models use NAME
    leanclip models remove NAME
    """
    if context.invoked_subcommand is not None:
        return
    found = [summary_of(model) for model in installed_models()]
    unfinished = unfinished_models()
    default, wrong = _default()
    if as_json:
        listed = [_as_json(one, default) for one in found]
        print(json.dumps({"models": listed, "unfinished": unfinished, "default": default}))
        return
    for one in found:
        _print(one, default)
    if wrong is not None:
        note(wrong)
    elif default not in {str(one.model.folder) for one in found}:
        print(f"the default is a folder: {default}")
    for name in unfinished:
        print(f"not whole: {name}; fetch it again to go on, or: leanclip models remove {name}")


@models.command()
def fetch(
    source: Annotated[
        str, typer.Argument(metavar="URL|hf:ORG/NAME[@REVISION]", help="Folder of a bundle.")
    ],
    name: Annotated[
        str | None, typer.Option(help="What to call it here; else as the bundle does.")
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(metavar="HEX", help="SHA-256 of its bundle.json, from somebody you trust."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch a model: every hash checked, and there as a whole or not at all.

    A broken or interrupted transfer goes on where it was when the same command runs again.
    Without --sha256 the manifest is believed the first time, and must stay the same after that.

    \b
    leanclip models fetch hf:ORG/NAME@v1.0
    leanclip models fetch https://example.org/models/small --sha256 9f86d081884c7d65...
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn
    from rich.progress import TransferSpeedColumn as SpeedColumn

    from retrieval.hub.fetch import fetch_model

    columns = (BarColumn(), DownloadColumn(), SpeedColumn(), TimeRemainingColumn())
    with Progress("{task.description}", *columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("bundle.json", total=None)
        done = fetch_model(
            source,
            name=name,
            sha256=sha256,
            progress=lambda file, so_far, total: bar.update(
                task, description=file, completed=so_far, total=total
            ),
        )
    if as_json:
        found = {"name": done.model.name, "folder": str(done.model.folder), "new": done.new}
        print(json.dumps(found | {"manifest_sha256": done.manifest_sha256}))
        return
    print(done.model.folder)
    state = "fetched" if done.new else "is here already, whole"
    note(f"{done.model.name} {state}; SHA-256 of its manifest: {done.manifest_sha256}")
    note(f"licence: {done.model.bundle.licence}")
    note(f"search with it: --model {done.model.name}, or leanclip models use {done.model.name}")


@models.command()
def use(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME|BUNDLE|default", help="A listed model, or a folder."),
    ],
) -> None:
    """Make a model the default of search, serve and all other commands.

    Indexes are kept, each for its own model. Photos that were indexed with another model must
    be indexed again before they can be searched with this one; the command says so. The name
    default goes back to the model that is part of the installation.

    \b
    leanclip models use NAME
    leanclip models use runs/student.bundle
    """
    wanted = _packaged() if name == DEFAULT else name
    folder = model_folder(wanted)
    if not folder.exists():
        raise BundleError(f"there is no model {name} here; leanclip models lists those that are")
    bundle = read_bundle(folder)
    choose_default(remembered_name(wanted))
    print(f"{bundle.name} is the default now")
    if os.environ.get(ENVIRONMENT):
        note(f"but {ENVIRONMENT} is set, and goes before it")
    _tell_of_index(bundle)


@models.command()
def remove(name: NameArgument) -> None:
    """Delete a fetched model, or what has come of one; indexes made with it are kept.

    \b
    leanclip models remove NAME
    """
    remove_model(name)
    print(f"{name} is removed")


def _default() -> tuple[str | None, str | None]:
    """Folder of the default model, or why there is none."""
    try:
        return str(default_bundle()), None
    except BundleError as error:
        return None, str(error)


def _packaged() -> str:
    packaged = packaged_model()
    if packaged is None:
        raise BundleError("this installation carries no model; install leanclip again")
    return packaged.name


def _tell_of_index(bundle: Bundle) -> None:
    from retrieval.catalog.catalog import CATALOG_FILE, Catalog

    place = library_home() / CATALOG_FILE
    if not place.exists():
        return
    with Catalog.open(place) as catalog:
        serving = catalog.serving()
    if serving is not None and serving.fingerprint != bundle.fingerprint:
        note(
            f"your photos are indexed with {serving.model}; that index is kept, and "
            f"{bundle.name} needs its own: leanclip index FOLDER --model default"
        )


def _print(one: Summary, default: str | None) -> None:
    origin, recall = one.model.origin, one.recall
    towers = ", ".join(f"{tower} {size / 1e6:.1f} MB" for tower, size in one.towers.items())
    print(one.model.name + (" (default)" if str(one.model.folder) == default else ""))
    print(f"  towers   {towers}; {one.bytes / 1e6:.1f} MB on disk")
    print(f"  formats  {', '.join(one.formats)}")
    if recall is None:
        print("  recall   not reported")
    else:
        photos = "" if recall.photos is None else f", among {recall.photos:,} photos"
        print(
            f"  recall   {100 * recall.text_to_image:.1f} from text to photo, "
            f"{100 * recall.image_to_text:.1f} from photo to text (@10{photos})"
        )
    print(f"  licence  {one.bundle.licence}")
    print(f"  from     {'the installation' if origin is None else origin.source}")


def _as_json(one: Summary, default: str | None) -> dict[str, Any]:
    return {
        "name": one.model.name,
        "default": str(one.model.folder) == default,
        "folder": str(one.model.folder),
        "origin": None if one.model.origin is None else one.model.origin.model_dump(mode="json"),
        "towers": one.towers,
        "bytes": one.bytes,
        "recall@10": None if one.recall is None else asdict(one.recall),
        "formats": one.formats,
        "licence": one.bundle.licence,
        "fingerprint": one.bundle.fingerprint,
    }
