from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from retrieval.compress.distributed import gather, group, requirements
from retrieval.compress.distributed.gather import own_part
from retrieval.compress.distributed.group import process_group
from retrieval.compress.distributed.requirements import require_even_parts, require_fixed_norms
from retrieval.compress.loop.settings import Training
from retrieval.spec.errors import RecipeError, TrainingError
from tests.compress.small_runs import recipe, write_data


def task(*layers: nn.Module, **training: Any) -> Any:
    model = SimpleNamespace(image=nn.Sequential(*layers), text=nn.BatchNorm1d(2))
    return SimpleNamespace(settings=Training(**training), towers=("image",), model=model)


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (requirements, gather):
        monkeypatch.setattr(module, "world_size", lambda: 4)
    monkeypatch.setattr(gather, "rank", lambda: 2)


def test_norms_of_parts_of_a_batch_are_refused(four: None) -> None:
    require_fixed_norms(task(nn.BatchNorm2d(3), freeze_norm=True))
    require_fixed_norms(task(nn.LayerNorm(3), freeze_norm=False))
    with pytest.raises(RecipeError, match=r"freeze_norm is false, but each of 4 processes"):
        require_fixed_norms(task(nn.BatchNorm2d(3), freeze_norm=False))


def test_batches_that_cannot_be_divided_are_refused(four: None, tmp_path: Path) -> None:
    stage = {"stage": "finetune", "towers": ["image"], "losses": {"pairs": 1}}
    data = write_data(tmp_path, count=8)
    require_even_parts(recipe(data, [stage]))
    uneven = {**stage, "training": {"batch_size": 6}}
    with pytest.raises(RecipeError, match=r"stages\.1\.training\.batch_size is 6.* multiple of 4$"):
        require_even_parts(recipe(data, [stage, uneven]))


def test_parts_differ_by_one_at_most_and_none_is_empty(four: None) -> None:
    assert own_part(8) == slice(4, 6)
    assert own_part(7) == slice(4, 6)
    assert own_part(6) == slice(4, 5)
    with pytest.raises(RecipeError, match="3 items cannot be divided among 4 processes"):
        own_part(3)


def test_fewer_gpus_than_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(group.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(group.torch.cuda, "device_count", lambda: 1)
    with pytest.raises(TrainingError, match="2 processes, but 1 GPU on this"), process_group():
        pass
