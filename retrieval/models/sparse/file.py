"""A safetensors file whose tensors may be packed.

A file that `Storage.is_plain` describes has each tensor under its own name and nothing else.
Any other has the entry ``leanclip`` in its metadata: JSON that names every tensor with its
shape, its layout and how many of its values are not zero. A tensor ``w`` that is packed lies in
the file as ``w.bitmap``, ``w.values``, ``w.row_start``, ``w.columns`` and ``w.scale``, those of
them that its layout has; an n-dimensional tensor is packed as the matrix of its first dimension
by all others, a vector as one row.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor, nn

from retrieval.models.sparse.parts import PART_NAMES, Parts
from retrieval.models.sparse.storage import Storage
from retrieval.models.sparse.tensor import PackedTensor, pack_tensor, unpack_tensor
from retrieval.spec.base import Spec
from retrieval.spec.errors import CheckpointError

METADATA: Final = "leanclip"
VERSION: Final = 1


class Contents(Spec):
    """The metadata of a packed file."""

    version: Literal[1] = VERSION
    tensors: dict[str, PackedTensor]


def pack_weights(weights: Mapping[str, Tensor], storage: Storage) -> bytes:
    """The content of a weights file.

    Args:
        weights: Floating-point tensors are stored as ``storage`` says, others as they are.
        storage: Of the forms that it allows (plain, int8, the sparse layout), each tensor has
            the smallest. So a small tensor is plain whatever the storage.

    Raises:
        CheckpointError: A weight is not finite, or too large for fp16. Plain fp32 takes any.
    """
    arrays: dict[str, np.ndarray] = {}
    entries: dict[str, PackedTensor] = {}
    for name, tensor in weights.items():
        entries[name], parts = pack_tensor(_at_type(name, tensor, storage), storage)
        arrays |= {f"{name}.{key}" if key else name: array for key, array in parts.items()}
    if storage.is_plain:
        return save(arrays)
    return save(arrays, {METADATA: Contents(tensors=entries).model_dump_json()})


def read_weights(path: Path) -> dict[str, Tensor]:
    """Every tensor of a weights file, packed or plain, dense on the CPU.

    Raises:
        CheckpointError: It cannot be read, is damaged or is of a newer leanclip.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = (file.metadata() or {}).get(METADATA)
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if metadata is None:
        return stored
    return _unpack(path, stored, _contents(path, metadata))


def round_as_stored(model: nn.Module, storage: Storage) -> None:
    """Give a model, in place, the weights that it would have after saving and loading.

    Raises:
        CheckpointError: As `pack_weights`.
    """
    for name, tensor in model.state_dict().items():
        entry, parts = pack_tensor(_at_type(name, tensor, storage), storage)
        array = parts[""] if entry.layout == "plain" else unpack_tensor(entry, parts)
        tensor.copy_(torch.from_numpy(array))


def _at_type(name: str, tensor: Tensor, storage: Storage) -> np.ndarray:
    tensor = tensor.detach().cpu().contiguous()
    if not tensor.is_floating_point():
        return tensor.numpy()
    tensor = tensor.to(torch.float16 if storage.values == "fp16" else torch.float32)
    if storage != Storage() and not tensor.isfinite().all():
        raise CheckpointError(
            f"cannot store {name} as {storage.values}: it has values that are not finite "
            "in that type; store the checkpoint as fp32 or train with a lower learning rate"
        )
    return tensor.numpy()


def _contents(path: Path, metadata: str) -> Contents:
    try:
        return Contents.model_validate_json(metadata)
    except ValidationError as error:
        if (found := _version_of(metadata)) > VERSION:
            raise CheckpointError(
                f"{path} is packed in format {found} and needs a newer leanclip, this one reads "
                f"up to {VERSION}: pip install --upgrade leanclip"
            ) from error
        raise _damaged(path, f"metadata: {error.errors()[0]['msg']}") from error


def _version_of(metadata: str) -> int:
    """The format that malformed metadata claim; 0 when they claim none."""
    try:
        value: Any = json.loads(metadata)
    except ValueError:
        return 0
    found = value.get("version") if isinstance(value, dict) else None
    return found if isinstance(found, int) else 0


def _unpack(path: Path, stored: dict[str, Tensor], contents: Contents) -> dict[str, Tensor]:
    """Take what each entry needs out of ``stored``; nothing may be left."""
    weights: dict[str, Tensor] = {}
    for name, entry in contents.tensors.items():
        if entry.layout == "plain":
            if name not in stored or stored[name].shape != entry.shape:
                raise _damaged(path, f"{name} is missing or not of shape {entry.shape}")
            weights[name] = stored.pop(name)
            continue
        try:
            weights[name] = torch.from_numpy(unpack_tensor(entry, _take_parts(stored, name)))
        except CheckpointError as error:
            raise _damaged(path, f"{name}: {error}") from error
    if stored:
        raise _damaged(path, f"it has an unknown {min(stored)}")
    return weights


def _take_parts(stored: dict[str, Tensor], name: str) -> Parts:
    return {
        key: stored.pop(f"{name}.{key}").numpy() for key in PART_NAMES if f"{name}.{key}" in stored
    }


def _damaged(path: Path, problem: str) -> CheckpointError:
    return CheckpointError(f"{path} is damaged: {problem}; copy or train it again")
