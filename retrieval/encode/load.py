"""From what a user names to an encoder: the packaged model, a bundle, a checkpoint."""

from pathlib import Path

from retrieval.encode.onnx import OnnxEncoder
from retrieval.encode.protocol import Encoder
from retrieval.hub.names import DEFAULT, model_folder
from retrieval.spec.bundle import MANIFEST
from retrieval.spec.errors import BundleError, MissingExtraError

_CHECKPOINT_FILE = "config.json"


def open_encoder(
    source: str | Path = DEFAULT, *, device: str = "cpu", threads: int | None = None
) -> Encoder:
    """Open a model for searching.

    Args:
        source: ``default``, the name of a packaged or fetched model, a bundle folder or a
            checkpoint folder; `retrieval.hub.names` says what each stands for.
        device: Where PyTorch runs a checkpoint; a bundle always runs on the CPU.
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
    folder = model_folder(source)
    if (folder / MANIFEST).is_file():
        return OnnxEncoder(folder, threads=threads)
    if (folder / _CHECKPOINT_FILE).is_file():
        return _open_checkpoint(folder, device, threads)
    if not folder.exists():
        raise BundleError(f"there is no model at {folder}; leanclip models lists those with a name")
    raise BundleError(
        f"{folder} is no model: it has neither {MANIFEST} (a bundle) "
        f"nor {_CHECKPOINT_FILE} (a checkpoint)"
    )


def _open_checkpoint(folder: Path, device: str, threads: int | None) -> Encoder:
    try:
        from retrieval.encode.torch import TorchEncoder
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "retrieval":
            raise
        raise MissingExtraError(f"{folder} is a checkpoint; opening it", "train") from error
    return TorchEncoder(folder, device=device, threads=threads)
