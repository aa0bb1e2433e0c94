"""Every criterion on the groups of a real tower."""

import pytest
import torch
from pydantic import TypeAdapter

from retrieval.compress.importance.importance import Criterion
from retrieval.compress.importance.registry import AnyCriterion
from retrieval.models.surgery.find import find_groups
from retrieval.models.surgery.units import Granularity
from tests.compress.importance.by_hand import context
from tests.tiny import tiny_model

READER: TypeAdapter[Criterion] = TypeAdapter(AnyCriterion)
ANYWHERE = ["magnitude", "taylor", "movement", "platon", "pins", "random"]
GATED = ["l0", {"criterion": "taylor", "per": "sample"}, "ablation"]
CASES = [
    *(
        (name, unit)
        for name in ANYWHERE
        for unit in ("head", "neuron", "layer", "hidden", "weight")
    ),
    *((name, unit) for name in GATED for unit in ("head", "neuron", "layer")),
    *(("moebert", unit) for unit in ("head", "neuron")),
]


@pytest.mark.parametrize(("written", "granularity"), CASES)
def test_scores_tell_units_of_a_tower_apart(written: object, granularity: Granularity) -> None:
    model = tiny_model()
    groups = find_groups(model, granularity, "text")
    ids = torch.randint(1, 500, (4, 8), generator=torch.Generator().manual_seed(0))
    ids[:, -1] = model.text.end_id

    def evaluate() -> float:
        with torch.inference_mode():
            return model.text(ids).square().sum().item()

    criterion = READER.validate_python(written)
    importance = criterion.start(context(model, *groups, evaluate=evaluate))
    for _ in range(2):
        model.zero_grad()
        importance.before_forward()
        loss = model.text(ids).square().mean(dim=0).sum()
        (loss + sum(importance.losses().values())).backward()
        importance.before_step(0.01)
        with torch.no_grad():
            for parameter in model.text.parameters():
                parameter -= 0.01 * parameter.grad
        importance.after_step()
    scores = importance.scores()
    importance.close()

    assert list(scores) == [group.name for group in groups]
    for group in groups:
        found = scores[group.name]
        assert found.shape == (group.units,)
        assert found.is_floating_point()
        assert not found.requires_grad
        assert found.isfinite().all()
    assert torch.cat(list(scores.values())).unique().numel() > 1
