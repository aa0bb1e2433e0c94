from pathlib import Path

import pytest
import torch
import torch.distributed as distributed
import torch.multiprocessing as multiprocessing

from retrieval.compress.importance.importance import Criterion
from retrieval.compress.importance.l0 import L0
from retrieval.compress.importance.moebert import MoEBERT
from tests.compress.importance.by_hand import TARGET, Net, X, as_tensor, neurons, start

CRITERIA: list[Criterion] = [MoEBERT(), L0(warmup=0)]


def _scores(criterion: Criterion, rows: slice) -> torch.Tensor:
    """Scores after one step of the mean loss of some rows of the batch."""
    net = Net()
    importance = start(criterion, net, neurons(net))
    importance.before_forward()
    wrong = (net(as_tensor(X[1])[rows]) - as_tensor(TARGET[1])[rows]).square().sum(dim=1)
    (wrong.mean() + sum(importance.losses().values())).backward()
    importance.before_step(0.1)
    importance.after_step()
    if isinstance(criterion, L0):
        # Adam's first step tells signs alone; its memory holds the gradient.
        (state, *_) = importance.state_dict()["descent"]["state"].values()
        return state["exp_avg"]
    return importance.scores()["net.neuron"]


def _work(rank: int, folder: Path) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    found = [_scores(criterion, slice(rank, rank + 1)) for criterion in CRITERIA]
    torch.save(found, folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[list[torch.Tensor]]:
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(_work, args=(folder,), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("number", range(len(CRITERIA)))
def test_two_processes_score_as_one_with_the_whole_batch(
    of_ranks: list[list[torch.Tensor]], number: int
) -> None:
    expected = _scores(CRITERIA[number], slice(0, 2))

    assert expected.abs().max() > 0
    for found in of_ranks:
        torch.testing.assert_close(found[number], expected)
