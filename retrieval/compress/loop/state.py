"""The file from which a stage goes on where it was stopped."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from retrieval.spec.errors import TrainingError
from retrieval.spec.files import replacing

STATE = "state.pt"


def write_state(path: Path, key: str, state: Mapping[str, Any]) -> None:
    """Write the state of the run that ``key`` names, whole or not at all.

    Args:
        path: The file.
        key: Asked for by `read_state`.
        state: Tensors, plain Python values, and dictionaries, lists and tuples of them.

    Raises:
        OSError: It cannot be written, as on a full disk.
    """
    with replacing(path) as temporary:
        try:
            with temporary.open("wb") as stream:
                torch.save({"key": key, **state}, stream)
        except RuntimeError as error:
            # Torch's zip writer hides the reason behind an error of its own.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def read_state(path: Path, key: str) -> dict[str, Any]:
    """What `write_state` wrote, with all tensors on the CPU.

    The file is a pickle, but whatever else it holds than tensors and plain values is refused,
    and never run.

    Raises:
        TrainingError: The file is damaged, no state, or of a run with another key.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        state = None
    except Exception as error:  # pickle raises almost anything on a damaged file
        raise TrainingError(
            f"{path} is damaged ({error}); delete it to start the stage again"
        ) from error
    if not isinstance(state, dict) or "key" not in state:
        raise TrainingError(
            f"{path} holds something else than a run saves; delete it to start the stage again"
        )
    if state["key"] != key:
        raise TrainingError(
            f"{path} belongs to another recipe; delete {path.parent} or choose another --out"
        )
    return state
