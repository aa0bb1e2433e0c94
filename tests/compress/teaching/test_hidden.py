import pytest
import torch

from retrieval.compress.losses.hidden import HiddenRegression
from retrieval.compress.teaching.hidden import HiddenStates, matched_layers
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.errors import RecipeError
from tests.tiny import TEXT, tiny_model


def text_model(layers: int, width: int = 32, seed: int = 0) -> DualEncoder:
    blocks = {"width": width, "head_dim": 16, "layers": layers, "neurons": 64}
    return tiny_model(seed=seed, text={**TEXT, "blocks": blocks})


@pytest.mark.parametrize(
    ("layers", "student", "teacher", "expected"),
    [
        ("uniform", 2, 6, [3, 6]),
        ("uniform", 4, 6, [2, 3, 4, 6]),
        ("first", 2, 6, [1, 2]),
        ("last", 2, 6, [5, 6]),
        ((6, 1), 2, 6, [6, 1]),
    ],
)
def test_layers_are_matched(
    layers: object, student: int, teacher: int, expected: list[int]
) -> None:
    loss = HiddenRegression.model_validate({"layers": layers})
    assert matched_layers(loss.layers, student, teacher) == expected


@pytest.mark.parametrize(("layers", "student"), [("uniform", 7), ([1], 2), ([1, 9], 2)])
def test_maps_that_do_not_fit_are_refused(layers: object, student: int) -> None:
    loss = HiddenRegression.model_validate({"layers": layers})
    with pytest.raises(RecipeError, match="layers"):
        matched_layers(loss.layers, student, 6)


def test_states_are_those_of_matched_layers_up_to_the_end_token() -> None:
    student, teacher = text_model(1, seed=1).text, text_model(2, seed=2).text
    states = HiddenStates(HiddenRegression(layers="last"), student, teacher)
    ids = torch.tensor([[1, 5, 6, 7], [1, 5, 2, 0]])
    used = torch.tensor([[True] * 4, [True, True, True, False]])
    student(ids)
    pairs = states(ids, used)
    assert len(pairs) == 2

    def plain(tower: torch.nn.Module, blocks: int) -> torch.Tensor:
        x = tower.token_embedding(ids) + tower.position_embedding[:4]
        for block in tower.blocks[:blocks]:
            x = block(x)
        return x[used]

    for (own, wanted), (depth, match) in zip(pairs, [(0, 0), (1, 2)], strict=True):
        torch.testing.assert_close(wanted, plain(teacher, match))
        torch.testing.assert_close(own, states.projection(plain(student, depth)))
    assert not any(wanted.requires_grad for _, wanted in pairs)


def test_attention_maps_are_scores_of_positions_that_see_each_other() -> None:
    student, teacher = text_model(1, seed=1).text, text_model(1, seed=2).text
    states = HiddenStates(HiddenRegression(attention=True), student, teacher)
    ids = torch.tensor([[1, 5, 2, 0]])
    used = torch.tensor([[True, True, True, False]])
    student(ids)
    own, wanted = states(ids, used)[-1]
    assert own.shape == wanted.shape == (9, 2)
    attention = teacher.blocks[0].attention
    x = teacher.blocks[0].attention_norm(
        teacher.token_embedding(ids) + teacher.position_embedding[:4]
    )
    query, key = (part(x)[0, :3].view(3, 2, 16) for part in (attention.query, attention.key))
    for row in range(3):
        for column in range(3):
            score = (query[row] * key[column]).sum(dim=1) / 4 if column <= row else torch.zeros(2)
            torch.testing.assert_close(wanted[3 * row + column], score)


def test_attention_maps_need_as_many_heads() -> None:
    with pytest.raises(RecipeError, match="heads"):
        HiddenStates(
            HiddenRegression(attention=True), text_model(1, 16).text, text_model(1, 32).text
        )


def test_towers_without_blocks_are_refused() -> None:
    model = text_model(1)
    with pytest.raises(RecipeError, match="transformer"):
        HiddenStates(HiddenRegression(), model.text, torch.nn.Linear(2, 2))
