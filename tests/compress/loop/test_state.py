"""The state of a run is read as data: nothing that a file holds is ever run."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from retrieval.compress.loop.state import read_state, write_state
from retrieval.spec.errors import TrainingError


class Trap:
    """Makes a folder when it is unpickled as pickle does by itself."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.sprung),)


def test_tensors_and_plain_values_come_back(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    state = {
        "weights": {"a": torch.arange(3.0), "half": torch.ones(2, dtype=torch.bfloat16)},
        "random": generator.get_state(),
        "best": {"score": 0.5, "figures": {1: None, "kept": [(1, True)]}},
    }
    write_state(tmp_path / "state.pt", "key", state)
    found = read_state(tmp_path / "state.pt", "key")
    assert found["best"] == state["best"]
    assert torch.equal(found["random"], state["random"])
    assert all(torch.equal(found["weights"][name], one) for name, one in state["weights"].items())


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "plain pickle"])
def test_a_file_that_would_run_something_is_refused(tmp_path: Path, legacy: bool) -> None:
    path, sprung = tmp_path / "state.pt", tmp_path / "sprung"
    trap = {"key": "key", "step": Trap(sprung)}
    torch.save(trap, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(TrainingError, match="state.pt holds something else than") as caught:
        read_state(path, "key")
    assert "\n" not in str(caught.value)
    assert not sprung.exists()
    torch.load(path, weights_only=False)
    assert sprung.exists()


@pytest.mark.parametrize("content", [[1, 2], {"step": 2}, torch.ones(2)], ids=repr)
def test_what_no_run_saves_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "state.pt")
    with pytest.raises(TrainingError, match="holds something else than a run saves; delete it"):
        read_state(tmp_path / "state.pt", "key")


def test_what_cannot_be_saved_leaves_the_earlier_state(tmp_path: Path) -> None:
    write_state(tmp_path / "state.pt", "key", {"step": 1})
    with pytest.raises(TypeError, match="generator"):
        write_state(tmp_path / "state.pt", "key", {"step": 2, "losses": (one for one in [1])})
    assert read_state(tmp_path / "state.pt", "key")["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]
