"""From what a user names to an encoder: the packaged model, a bundle, a checkpoint."""

import os
from pathlib import Path

from retrieval.encode.onnx import OnnxEncoder
from retrieval.encode.protocol import Encoder
from retrieval.spec.bundle import MANIFEST
from retrieval.spec.errors import BundleError, MissingExtraError

DEFAULT = "default"
ENVIRONMENT = "LEANCLIP_MODEL"

_PACKAGE = Path(__file__).resolve().parent.parent
_CHECKPOINT_FILE = "config.json"


def open_encoder(source: str | Path = DEFAULT, *, threads: int | None = None) -> Encoder:
    """Open a model for searching.

    Args:
        source: ``default`` (the packaged bundle, or the one that the environment variable
            ``LEANCLIP_MODEL`` names), a bundle folder or a checkpoint folder.
        threads: Threads for one tower; None leaves the choice to the back end.

    Raises:
        BundleError: Nothing there is a model.
        CheckpointError: A checkpoint is damaged.
        MissingExtraError: A checkpoint needs PyTorch, which is not installed.

    Example:
        >>> encoder = open_encoder("default")  # doctest: +SKIP
        >>> encoder.encode_sentences(["two dogs running in snow"]).shape  # doctest: +SKIP
        (1, 256)
    """
    folder = default_bundle() if str(source) == DEFAULT else Path(source)
    if (folder / MANIFEST).is_file():
        return OnnxEncoder(folder, threads=threads)
    if (folder / _CHECKPOINT_FILE).is_file():
        return _open_checkpoint(folder, threads)
    if not folder.exists():
        raise BundleError(f"there is no model at {folder}")
    raise BundleError(
        f"{folder} is no model: it has neither {MANIFEST} (a bundle) "
        f"nor {_CHECKPOINT_FILE} (a checkpoint)"
    )


def default_bundle() -> Path:
    """Folder of the bundle that ``default`` stands for.

    Raises:
        BundleError: The installation carries none.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named).expanduser()
    installed = _PACKAGE / "default"
    source_tree = _PACKAGE.parent / "data" / "default"
    for folder in (installed, source_tree):
        if (folder / MANIFEST).is_file():
            return folder
    raise BundleError(
        f"this installation carries no default model: install leanclip again, or set {ENVIRONMENT} "
        "to a bundle folder"
    )


def _open_checkpoint(folder: Path, threads: int | None) -> Encoder:
    try:
        from retrieval.encode.torch import TorchEncoder
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "retrieval":
            raise
        raise MissingExtraError(f"{folder} is a checkpoint; opening it", "train") from error
    return TorchEncoder(folder, threads=threads)
