import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from retrieval.compress.losses.contrastive import contrastive_distillation
from retrieval.compress.losses.hard_negatives import hard_negative_contrast
from retrieval.compress.losses.pairs import pair_contrastive
from retrieval.compress.losses.regression import embedding_regression
from retrieval.compress.losses.similarity import similarity_distillation


def rows(count: int, dim: int = 8, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, dim, generator=generator), dim=1)


def negative_log_share(right: float, wrong: list[float]) -> float:
    return -math.log(math.exp(right) / (math.exp(right) + sum(map(math.exp, wrong))))


def test_contrastive_distillation_by_hand() -> None:
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    teacher = torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    bank = torch.tensor([[-1.0, 0.0]])
    # Row 0 has cosines 0.6 (own), 0, and -1 with the bank; row 1 has 0.8, 1 (own) and 0.
    first = negative_log_share(0.6 / 0.5, [0, -1 / 0.5])
    second = negative_log_share(1 / 0.5, [0.8 / 0.5, 0])
    found = contrastive_distillation(student, teacher, bank, 0.5)
    assert found.item() == pytest.approx((first + second) / 2)
    without_bank = (negative_log_share(1.2, [0]) + negative_log_share(2, [1.6])) / 2
    assert contrastive_distillation(student, teacher, None, 0.5).item() == pytest.approx(
        without_bank
    )


def test_an_own_item_that_comes_again_is_no_negative() -> None:
    student, teacher, others = rows(3, seed=1), rows(3, seed=2), rows(4, seed=3)
    expected = contrastive_distillation(student, teacher, others, 0.1)
    again = contrastive_distillation(
        student[:1], teacher[:1], torch.cat([teacher[:1], others]), 0.1
    )
    alone = contrastive_distillation(student[:1], teacher[:1], others, 0.1)
    assert again.item() == pytest.approx(alone.item())
    # The bank repeats the batch: each row leaves out itself, and sees the other rows twice.
    logits = student @ torch.cat([teacher, others, teacher]).T / 0.1
    for row in range(3):
        logits[row, 7 + row] = -torch.inf
    wanted = F.cross_entropy(logits, torch.arange(3))
    bank = torch.cat([others, teacher])
    assert contrastive_distillation(student, teacher, bank, 0.1).item() == pytest.approx(
        wanted.item()
    )
    assert wanted > expected


def test_equal_items_of_one_batch_are_not_each_others_negatives() -> None:
    student, teacher = rows(3, seed=1), rows(3, seed=2)
    teacher[1] = teacher[0]
    logits = student @ teacher.T / 0.1
    logits[0, 1] = logits[1, 0] = -torch.inf
    wanted = F.cross_entropy(logits, torch.arange(3))
    assert contrastive_distillation(student, teacher, None, 0.1).item() == pytest.approx(
        wanted.item()
    )


def test_regression_is_two_minus_two_cosines() -> None:
    student, teacher = rows(5, seed=1), rows(5, seed=2)
    cosines = (student * teacher).sum(dim=1)
    assert embedding_regression(student, teacher).item() == pytest.approx(
        (2 - 2 * cosines).mean().item(), abs=1e-6
    )
    assert embedding_regression(student, student).item() == 0
    assert embedding_regression(student, -student).item() == pytest.approx(4, abs=1e-6)


def test_pair_contrastive_with_several_captions_per_photo_equals_a_plain_loop() -> None:
    owner = [0, 0, 1, 2, 2, 2]
    similarity = rows(3, seed=1) @ rows(6, seed=2).T
    scale = 7.0
    text_to_image = [
        negative_log_share(
            scale * similarity[photo, caption].item(),
            [scale * similarity[p, caption].item() for p in range(3) if p != photo],
        )
        for caption, photo in enumerate(owner)
    ]
    image_to_text = [
        negative_log_share(
            scale * similarity[photo, caption].item(),
            [scale * similarity[photo, c].item() for c in range(6) if owner[c] != photo],
        )
        for caption, photo in enumerate(owner)
    ]
    expected = (sum(text_to_image) + sum(image_to_text)) / 12
    found = pair_contrastive(similarity, torch.tensor(owner), torch.tensor(scale))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_similarity_distillation_is_zero_for_equal_distributions() -> None:
    cosines = rows(3, seed=1) @ rows(4, seed=2).T
    assert similarity_distillation(cosines, cosines, torch.tensor(20.0), 20.0).item() == (
        pytest.approx(0, abs=1e-6)
    )
    # Twice the cosines at half the scale is the same distribution.
    assert similarity_distillation(cosines, 2 * cosines, torch.tensor(20.0), 10.0).item() == (
        pytest.approx(0, abs=1e-6)
    )


def test_similarity_distillation_by_hand() -> None:
    student = torch.zeros(2, 2)
    teacher = torch.tensor([[math.log(3.0), 0.0], [0.0, math.log(3.0)]])
    # Every row and column of the teacher is (3/4, 1/4) in some order, the student's (1/2, 1/2).
    divergence = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    found = similarity_distillation(student, teacher, torch.tensor(5.0), 1.0)
    assert found.item() == pytest.approx(divergence)


def test_hard_negative_contrast_by_hand() -> None:
    query = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    positive = torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    negatives = torch.tensor([[[0.8, 0.6], [-1.0, 0.0]], [[1.0, 0.0], [0.6, -0.8]]])
    first = negative_log_share(2 * 0.6, [2 * 0.8, -2.0])
    second = negative_log_share(2.0, [0.0, -1.6])
    found = hard_negative_contrast(query, positive, negatives, torch.tensor(2.0))
    assert found.item() == pytest.approx((first + second) / 2)
