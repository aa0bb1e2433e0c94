"""The file from which a stage goes on where it was stopped."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from retrieval.spec.errors import TrainingError
from retrieval.spec.files import replacing

STATE = "state.pt"


def write_state(path: Path, key: str, state: Mapping[str, Any]) -> None:
    """Write the state of the run that ``key`` names, whole or not at all."""
    # Through memory: torch reports a full disk as an error of its zip writer.
    packed = io.BytesIO()
    torch.save({"key": key, **state}, packed)
    with replacing(path) as temporary:
        temporary.write_bytes(packed.getbuffer())


def read_state(path: Path, key: str) -> dict[str, Any]:
    """What `write_state` wrote, with all tensors on the CPU.

    Raises:
        TrainingError: The file is damaged, or of a run with another key.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # pickle raises almost anything on a damaged file
        raise TrainingError(
            f"{path} is damaged ({error}); delete it to start the stage again"
        ) from error
    if state["key"] != key:
        raise TrainingError(
            f"{path} belongs to another recipe; delete {path.parent} or choose another --out"
        )
    return state
