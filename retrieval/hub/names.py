"""From what a user names to a model's folder: the one way, for every command."""

import os
from pathlib import Path

from retrieval.hub.store import chosen_default, model_named, packaged_bundle
from retrieval.spec.errors import BundleError

DEFAULT = "default"
ENVIRONMENT = "LEANCLIP_MODEL"


def model_folder(source: str | Path = DEFAULT) -> Path:
    """Folder of the model that ``source`` names; it need not exist.

    Args:
        source: ``default``, the name of a packaged or fetched model, or a folder. A name goes
            before a folder of the same name, which is written ``./NAME``.

    Raises:
        BundleError: ``default`` is asked for, and there is none.
    """
    if isinstance(source, Path):
        return source.expanduser()
    return default_bundle() if source == DEFAULT else _named_or_folder(source)


def default_bundle() -> Path:
    """Folder that ``default`` stands for.

    That is what the environment variable ``LEANCLIP_MODEL`` names, else what ``leanclip
    models use`` chose, else the packaged model.

    Raises:
        BundleError: The chosen model is gone, or the installation carries none.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        return _named_or_folder(named)
    chosen = chosen_default()
    if chosen is None:
        return _packaged()
    found = model_named(chosen)
    if found is not None:
        return found.folder
    if Path(chosen).is_absolute():
        return Path(chosen)
    raise BundleError(
        f"the default model {chosen} is gone; choose another: leanclip models use NAME"
    )


def remembered_name(source: str | Path) -> str:
    """What opens the same model from any working folder, for a library to remember.

    Returns:
        ``default``, the name of a model that is here, or an absolute path.
    """
    if isinstance(source, str) and (source == DEFAULT or model_named(source) is not None):
        return source
    return str(Path(source).expanduser().resolve())


def _named_or_folder(source: str) -> Path:
    found = model_named(source)
    return Path(source).expanduser() if found is None else found.folder


def _packaged() -> Path:
    folder = packaged_bundle()
    if folder is None:
        raise BundleError(
            "this installation carries no default model: install leanclip again, or set "
            f"{ENVIRONMENT} to a bundle folder"
        )
    return folder
