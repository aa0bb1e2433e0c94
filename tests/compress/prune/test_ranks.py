"""Two processes that see different data choose the same units."""

from pathlib import Path

import torch
import torch.multiprocessing as multiprocessing
from torch import distributed

from retrieval.compress.prune.ranks import agreed, averaged


def _work(rank: int, folder: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    scores = {"a": torch.tensor([1.0, 4.0]) * (rank + 1), "b": torch.tensor([float(rank)])}
    found = averaged(scores)
    value = agreed(10.0 + rank, torch.device("cpu"))
    torch.save({"scores": found, "given": scores, "value": value}, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def test_processes_average_scores_and_take_the_measurement_of_the_first(tmp_path: Path) -> None:
    multiprocessing.spawn(_work, args=(str(tmp_path),), nprocs=2)
    for rank in range(2):
        result = torch.load(tmp_path / f"{rank}.pt")
        assert result["scores"]["a"].tolist() == [1.5, 6.0]
        assert result["scores"]["b"].tolist() == [0.5]
        assert result["given"]["b"].tolist() == [float(rank)]
        assert result["value"] == 10.0


def test_a_process_alone_keeps_what_it_found() -> None:
    scores = {"a": torch.tensor([1.0, 4.0])}
    assert averaged(scores)["a"].tolist() == [1.0, 4.0]
    assert agreed(3.0, torch.device("cpu")) == 3.0
