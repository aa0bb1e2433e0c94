"""The files of a model for Hugging Face transformers: a folder, or a repository of the hub."""

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from retrieval.spec.errors import CheckpointError
from retrieval.spec.reasons import in_one_line

CONFIG = "config.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
)

_SETTINGS = (CONFIG, "open_clip_config.json", "preprocessor_config.json", "processor_config.json")
_SAFETENSORS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_PICKLED = "pytorch_model.bin"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def model_folder(name: str) -> Path:
    """Folder with a model's settings, tokenizer and weights, fetched if it must be.

    Args:
        name: A folder, or ``ORG/NAME`` on the Hugging Face hub.

    Raises:
        CheckpointError: There is no such folder or repository, or it cannot be fetched.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    found = _fetch(name, (*_SETTINGS, *TOKENIZER_FILES, "model*.safetensors", _INDEX))
    if not any((found / file).is_file() for file in (_SAFETENSORS, _INDEX)):
        _fetch(name, (_PICKLED,))
    return found


def tokenizer_folder(name: str) -> Path:
    """Folder with a tokenizer's files alone; arguments and errors as of `model_folder`."""
    folder = Path(name).expanduser()
    return folder if folder.is_dir() else _fetch(name, TOKENIZER_FILES)


def read_settings(path: Path) -> dict[str, Any]:
    """A JSON object of a model's folder.

    Raises:
        CheckpointError: It is missing or no JSON object.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path.parent} has no {path.name}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not a JSON object")
    return value


def read_state(folder: Path) -> dict[str, Tensor]:
    """Every weight of a model, in float32.

    Raises:
        CheckpointError: There are no weights, or they are damaged.
    """
    files = _weight_files(folder)
    state: dict[str, Tensor] = {}
    for path in files:
        try:
            if path.suffix == ".bin":
                # Only tensors: a pickle could otherwise run whatever its author wrote.
                part = torch.load(path, map_location="cpu", weights_only=True)
            else:
                part = load_file(path)
        except Exception as error:  # Of pickle, zip, safetensors and the file system.
            if not isinstance(error, OSError | SafetensorError | RuntimeError):
                reason = type(error).__name__
            else:
                reason = in_one_line(error)[:200]
            raise CheckpointError(f"{path} cannot be read: {reason}") from error
        state |= part
    return {name: weight.float() for name, weight in state.items()}


def _weight_files(folder: Path) -> list[Path]:
    if (folder / _SAFETENSORS).is_file():
        return [folder / _SAFETENSORS]
    if (folder / _INDEX).is_file():
        names = read_settings(folder / _INDEX).get("weight_map")
        if not isinstance(names, dict):
            raise CheckpointError(f"{folder / _INDEX} has no weight_map")
        return [folder / str(name) for name in sorted(set(names.values()))]
    if (folder / _PICKLED).is_file():
        return [folder / _PICKLED]
    raise CheckpointError(f"{folder} has neither {_SAFETENSORS} nor {_PICKLED}")


def _fetch(name: str, patterns: tuple[str, ...]) -> Path:
    import huggingface_hub
    from huggingface_hub import errors

    if _REPOSITORY.fullmatch(name) is None:
        raise CheckpointError(f"there is no folder {name}, and it is no ORG/NAME of the hub")
    try:
        folder = huggingface_hub.snapshot_download(name, allow_patterns=list(patterns))
    except errors.GatedRepoError as error:
        raise CheckpointError(
            f"{name} is gated: accept its terms on huggingface.co and log in with `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(f"huggingface.co has no public model {name}") from error
    except Exception as error:  # Of the hub, its HTTP client and the file system.
        raise CheckpointError(
            f"{name} is neither a folder nor in the cache, and cannot be fetched from "
            f"huggingface.co ({type(error).__name__}): try again with a network"
        ) from error
    return Path(folder)
