"""Which models are on this machine, and which of them is the default."""

import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from retrieval.catalog.location import library_home
from retrieval.spec.base import Spec
from retrieval.spec.bundle import MANIFEST, Bundle, read_bundle
from retrieval.spec.errors import BundleError
from retrieval.spec.files import write_json

ORIGIN = "fetched.json"
"""File in a fetched model that says where it came from."""
UNFINISHED = ".part"
"""What the folder of a model that is not whole yet ends in; it also starts with a dot."""

_PACKAGE = Path(__file__).resolve().parent.parent
_CHOICE = "default.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TAKEN = {"default", _CHOICE}


class Origin(Spec):
    """Where a fetched model came from, and what it was then."""

    source: str
    """As it was named."""
    manifest_sha256: str
    """Of ``bundle.json`` when it was first fetched."""


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A bundle on this machine that can be named."""

    name: str
    folder: Path
    origin: Origin | None
    """None for the packaged model."""

    @property
    def bundle(self) -> Bundle:
        """Its manifest; raises as `read_bundle`."""
        return read_bundle(self.folder)


def models_folder() -> Path:
    """Where fetched models lie: in the library's home, whatever ``--home`` says."""
    return library_home() / "models"


def unfinished_folder(name: str) -> Path:
    """Where a model lies until it is whole."""
    return models_folder() / f".{name}{UNFINISHED}"


def packaged_bundle() -> Path | None:
    """Folder of the model that this installation carries; None when it carries none."""
    installed = _PACKAGE / "default"
    source_tree = _PACKAGE.parent / "data" / "default"
    for folder in (installed, source_tree):
        if (folder / MANIFEST).is_file():
            return folder
    return None


def packaged_model() -> InstalledModel | None:
    """The model that this installation carries, by the name in its manifest."""
    folder = packaged_bundle()
    return None if folder is None else InstalledModel(read_bundle(folder).name, folder, None)


def installed_models() -> list[InstalledModel]:
    """The packaged model and those that were fetched, by name."""
    packaged = packaged_model()
    fetched = [
        _fetched(folder)
        for folder in sorted(_folders(models_folder()))
        if not folder.name.startswith(".")
    ]
    return ([] if packaged is None else [packaged]) + fetched


def unfinished_models() -> list[str]:
    """Names of models that were not fetched to the end."""
    hidden = (folder.name for folder in _folders(models_folder()))
    return sorted(
        name[1 : -len(UNFINISHED)]
        for name in hidden
        if name.startswith(".") and name.endswith(UNFINISHED)
    )


def model_named(name: str) -> InstalledModel | None:
    """The packaged or fetched model of that name; None when there is none."""
    if not is_model_name(name):
        return None
    folder = models_folder() / name
    if (folder / MANIFEST).is_file():
        return _fetched(folder)
    packaged = packaged_model()
    return packaged if packaged is not None and packaged.name == name else None


def is_model_name(name: str) -> bool:
    """Whether a model may be called so: it must serve as a folder's name everywhere."""
    return _NAME.fullmatch(name) is not None and name.lower() not in _TAKEN


def chosen_default() -> str | None:
    """What `choose_default` was last given; None when the packaged model is the default.

    Raises:
        BundleError: The file that says so is damaged.
    """
    path = models_folder() / _CHOICE
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        value = None
    if isinstance(value, dict) and isinstance(value.get("model"), str):
        return str(value["model"])
    raise BundleError(f"{path} is damaged; choose the default with leanclip models use NAME")


def choose_default(source: str) -> None:
    """Make a model the default.

    Args:
        source: Its name or an absolute path, as `retrieval.hub.names.remembered_name` gives it.

    Raises:
        OSError: The choice cannot be written.
    """
    path = models_folder() / _CHOICE
    packaged = packaged_model()
    if packaged is not None and packaged.name == source:
        path.unlink(missing_ok=True)
    else:
        write_json(path, {"model": source})


def remove_model(name: str) -> None:
    """Delete a fetched model, and what there is of one that is not whole yet.

    Raises:
        BundleError: It is packaged, the default, or not there.
    """
    unfinished = unfinished_folder(name) if is_model_name(name) else None
    there = unfinished is not None and unfinished.is_dir()
    model = model_named(name)
    if model is None and not there:
        known = ", ".join(one.name for one in installed_models())
        raise BundleError(f"there is no model {name} here, but {known or 'none at all'}")
    if model is not None:
        _remove_whole(model)
    if unfinished is not None and there:
        shutil.rmtree(unfinished)


def _remove_whole(model: InstalledModel) -> None:
    if model.origin is None:
        raise BundleError(f"{model.name} is part of the installation and cannot be removed")
    if chosen_default() == model.name:
        packaged = packaged_model()
        other = "NAME" if packaged is None else packaged.name
        raise BundleError(
            f"{model.name} is the default; choose another first: leanclip models use {other}"
        )
    # Renamed first, so that a model is never there with some of its files gone.
    with tempfile.TemporaryDirectory(prefix=".removed.", dir=model.folder.parent) as retired:
        model.folder.rename(Path(retired) / model.name)


def _fetched(folder: Path) -> InstalledModel:
    path = folder / ORIGIN
    try:
        origin = Origin.model_validate_json(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise BundleError(
            f"{path} is missing or damaged: it says where the model came from; "
            f"remove the folder {folder} and fetch the model again"
        ) from error
    return InstalledModel(folder.name, folder, origin)


def _folders(parent: Path) -> list[Path]:
    return [path for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
