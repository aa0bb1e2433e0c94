"""Two processes that see different data decide alike, and the first one alone does what it must."""

import math
from pathlib import Path

import pytest
import torch

from retrieval.compress.distributed.gather import gathered, own_part
from retrieval.compress.distributed.ranks import (
    after_first,
    any_of,
    averaged,
    from_first,
    mean,
    own_noise,
)
from retrieval.spec.errors import CacheError
from tests.compress.distributed.processes import run_in_processes

ROWS = 5


def _refuse() -> None:
    raise CacheError("a cache is damaged; remove it")


def _interrupt() -> None:
    raise KeyboardInterrupt


def _loss(embeddings: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Of the whole batch: each row counts against every other."""
    return torch.logsumexp(embeddings @ embeddings.T * scale, dim=1).mean()


def _gradients() -> tuple[torch.Tensor, ...]:
    weight = torch.tensor([[1.0, -0.5], [0.25, 2.0]], requires_grad=True)
    scale = torch.tensor(0.7, requires_grad=True)
    batch = torch.arange(2.0 * ROWS).view(ROWS, 2) / 10
    embeddings = gathered(batch[own_part(ROWS)] @ weight, ROWS)
    _loss(embeddings, scale).backward()
    assert weight.grad is not None
    assert scale.grad is not None
    means = averaged({"weight": weight.grad, "scale": scale.grad})
    return embeddings.detach(), means["weight"], means["scale"]


def _work(rank: int, folder: Path) -> None:
    torch.manual_seed(3)
    calls: list[int] = []
    found = {
        "first": from_first(lambda: calls.append(rank) or rank),
        "after": after_first(lambda: (folder / "made").touch() or rank),
        "calls": calls,
        "mean": mean([1.0 + rank, math.nan if rank else 0.0]),
        "any": [any_of(rank == 1), any_of(False)],
        "scores": averaged({"a": torch.tensor([1.0, 4.0]) * (rank + 1)})["a"].tolist(),
        "gradients": _gradients(),
    }
    for name, make in {"refused": _refuse, "interrupted": _interrupt}.items():
        try:
            from_first(make)
        except BaseException as error:
            found[name] = (type(error).__name__, str(error))
    with own_noise():
        # As dropout would: other numbers, and not equally many.
        found["own"] = torch.rand(3 + rank)[:3]
    found["common"] = torch.rand(3)
    torch.save(found, folder / f"{rank}.pt")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    folder = tmp_path_factory.mktemp("ranks")
    assert run_in_processes(_work, folder) == [0, 0]
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


def test_the_first_process_decides_and_figures_are_means(found: list[dict[str, object]]) -> None:
    assert [one["first"] for one in found] == [0, 0]
    assert [one["calls"] for one in found] == [[0], []]
    assert [one["after"] for one in found] == [0, 1]
    for one in found:
        assert one["mean"][0] == 1.5
        assert math.isnan(one["mean"][1])
        assert one["any"] == [True, False]
        assert one["scores"] == [1.5, 6.0]


def test_a_failure_of_the_first_process_ends_all_with_its_line(
    found: list[dict[str, object]],
) -> None:
    for one in found:
        assert one["refused"] == ("CacheError", "a cache is damaged; remove it")
        assert one["interrupted"][0] == "KeyboardInterrupt"


def test_gradients_are_those_of_the_whole_batch(found: list[dict[str, object]]) -> None:
    embeddings, weight, scale = _gradients()
    for one in found:
        torch.testing.assert_close(one["gradients"][0], embeddings)
        torch.testing.assert_close(one["gradients"][1], weight)
        torch.testing.assert_close(one["gradients"][2], scale)


def test_noise_is_each_process_s_own_and_all_else_is_what_one_process_draws(
    found: list[dict[str, object]],
) -> None:
    torch.manual_seed(3)
    with own_noise():
        own = torch.rand(100)[:3]
    common = torch.rand(3)
    assert torch.equal(found[0]["own"], own)
    assert not torch.equal(found[0]["own"], found[1]["own"])
    assert torch.equal(found[0]["common"], common)
    assert torch.equal(found[1]["common"], common)


def test_a_process_alone_keeps_what_it_found() -> None:
    scores = {"a": torch.tensor([1.0, 4.0])}
    assert averaged(scores)["a"].tolist() == [1.0, 4.0]
    assert mean([3.0]) == [3.0]
    assert own_part(7) == slice(0, 7)
    embeddings = torch.ones(2, 2)
    assert gathered(embeddings, 2) is embeddings
