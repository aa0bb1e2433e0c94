import pytest
import torch
from torch import nn

from retrieval.compress.prune.ledger import Ledger
from retrieval.compress.prune.select import indices, keep_weights, rank
from retrieval.models.surgery.units import Group, Member
from retrieval.spec.errors import TrainingError
from tests.compress.prune.units import matrix_group, rows, weights


def kept(ranking, dropped: int) -> dict[str, list[int]]:
    return {name: mask.tolist() for name, mask in indices(ranking.keep(dropped)).items()}


def scored(**scores: list[float]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(values) for name, values in scores.items()}


def test_all_units_compete() -> None:
    groups = [rows("a", 3, 2), rows("b", 3, 2)]
    ranking = rank(groups, scored(a=[0.5, 0.1, 0.4], b=[0.2, 0.9, 0.3]))
    assert kept(ranking, 0) == {"a": [0, 1, 2], "b": [0, 1, 2]}
    assert kept(ranking, 2) == {"a": [0, 2], "b": [1, 2]}
    assert kept(ranking, 3) == {"a": [0, 2], "b": [1]}


def test_no_group_is_ever_empty() -> None:
    groups = [rows("a", 3, 2), rows("b", 3, 2, least=2)]
    ranking = rank(groups, scored(a=[0.1, 0.3, 0.2], b=[7.0, 9.0, 8.0]))
    assert kept(ranking, 3) == {"a": [1], "b": [0, 1, 2]}
    assert kept(ranking, 6) == {"a": [1], "b": [1, 2]}


def test_each_layer_loses_the_same_share() -> None:
    groups = [rows("a", 4, 2), rows("b", 8, 2)]
    ranking = rank(
        groups,
        scored(a=[1.0, 2.0, 3.0, 4.0], b=[9.0, 8.0, 7.0, 6.0, 5.0, 40.0, 30.0, 20.0]),
        scope="layer",
    )
    assert kept(ranking, 6) == {"a": [2, 3], "b": [0, 5, 6, 7]}
    assert kept(ranking, 9) == {"a": [3], "b": [5, 6]}


def test_counts_are_rounded_up_to_their_multiple_with_the_best_units() -> None:
    group = rows("a", 6, 2, multiple=4, least=4)
    ranking = rank([group], scored(a=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
    assert kept(ranking, 1) == {"a": [0, 1, 2, 3, 4, 5]}
    assert kept(ranking, 2) == kept(ranking, 6) == {"a": [2, 3, 4, 5]}


def test_of_equal_scores_the_lower_index_stays() -> None:
    groups = [rows("a", 3, 2), rows("b", 2, 2)]
    ranking = rank(groups, scored(a=[1.0, 1.0, 1.0], b=[1.0, 1.0]))
    assert kept(ranking, 1) == {"a": [0, 1, 2], "b": [0]}
    assert kept(ranking, 3) == {"a": [0, 1], "b": [0]}
    layered = rank(groups, scored(a=[1.0, 1.0, 1.0], b=[1.0, 1.0]), scope="layer")
    assert kept(layered, 2) == {"a": [0, 1], "b": [0]}


def test_groups_are_made_comparable() -> None:
    groups = [rows("a", 2, 2), rows("b", 2, 2)]
    scores = scored(a=[10.0, 30.0], b=[0.2, 0.3])
    assert kept(rank(groups, scores), 1) == {"a": [0, 1], "b": [1]}
    # By root mean squares of 22.4 and 0.255 the lowest are 0.45 and 0.78.
    assert kept(rank(groups, scores, normalise="group"), 1) == {"a": [1], "b": [0, 1]}


def test_large_units_of_little_use_go_first() -> None:
    groups = [rows("large", 2, 100), rows("small", 2, 1)]
    scores = scored(large=[10.0, 30.0], small=[0.2, 0.4])
    ranking = rank(groups, scores, normalise="parameters")
    assert kept(ranking, 1) == {"large": [1], "small": [0, 1]}


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(TrainingError, match="scores of a are not finite"):
        rank([rows("a", 2, 1)], scored(a=[1.0, float("nan")]))
    with pytest.raises(TrainingError, match="scores of w are not finite"):
        keep_weights([weights("w", 1.0, 2.0)], scored(w=[1.0, float("inf")]), 0.5)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (1.0, {"v": [0, 1, 2], "w": [0, 1]}),
        (0.9, {"v": [0, 1, 2], "w": [0, 1]}),
        (0.6, {"v": [0, 2], "w": [1]}),
        (0.4, {"v": [0], "w": [1]}),
        (0.0, {"v": [0], "w": [1]}),
    ],
)
def test_one_threshold_for_all_weights(share: float, expected: dict[str, list[int]]) -> None:
    groups = [weights("v", 9.0, 2.0, 4.0), weights("w", 3.0, 5.0)]
    scores = scored(v=[9.0, 2.0, 4.0], w=[3.0, 5.0])
    found = indices(keep_weights(groups, scores, share))
    assert {name: units.tolist() for name, units in found.items()} == expected


def test_equal_weights_are_counted_exactly() -> None:
    groups = [weights("v", *[1.0] * 5), weights("w", *[1.0] * 5)]
    keep = indices(keep_weights(groups, scored(v=[1.0] * 5, w=[1.0] * 5), 0.7))
    assert [units.tolist() for units in keep.values()] == [[0, 1, 2, 3, 4], [0, 1]]


def test_a_threshold_for_each_matrix() -> None:
    groups = [weights("v", 1.0, 2.0, 3.0, 4.0), weights("w", 10.0, 20.0)]
    scores = scored(v=[1.0, 2.0, 3.0, 4.0], w=[10.0, 20.0])
    keep = indices(keep_weights(groups, scores, 0.5, scope="layer"))
    assert [units.tolist() for units in keep.values()] == [[2, 3], [1]]


def test_a_weight_of_two_units_counts_once() -> None:
    first, second = nn.Parameter(torch.ones(4, 3)), nn.Parameter(torch.ones(2, 4))
    ones = torch.arange(4)
    middle = Group(
        "middle",
        "channel",
        4,
        (Member("first", first, 0, ones), Member("second", second, 1, ones)),
        (),
    )
    ends = matrix_group("end", second, 0)
    ledger = Ledger([middle, ends])
    assert ledger.total == 12 + 8
    keep = {"middle": torch.tensor([True, False, True, False]), "end": torch.tensor([False, True])}
    assert ledger.surviving(keep) == 2 * 3 + 1 * 2


def test_what_belongs_to_no_unit_is_not_counted() -> None:
    weight = nn.Parameter(torch.ones(5, 3))
    owner = torch.tensor([0, 0, -1, 1, -1])
    group = Group("a", "head", 2, (Member("a", weight, 0, owner),), ())
    ledger = Ledger([group])
    assert ledger.total == 9
    assert ledger.surviving({"a": torch.tensor([False, True])}) == 3
    assert ledger.surviving({"a": torch.tensor([False, False])}) == 0
