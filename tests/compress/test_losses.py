import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from retrieval.compress.losses.affinity import AffinityMimicking, affinity_mimicking
from retrieval.compress.losses.contrastive import contrastive_distillation
from retrieval.compress.losses.hard_negatives import hard_negative_contrast
from retrieval.compress.losses.hidden import hidden_regression
from retrieval.compress.losses.interactive import InteractiveContrastive
from retrieval.compress.losses.pairs import pair_contrastive
from retrieval.compress.losses.registry import Losses
from retrieval.compress.losses.regression import embedding_regression
from retrieval.compress.losses.self_teacher import self_regularisation
from retrieval.compress.losses.snapshots import SnapshotContrast
from retrieval.compress.losses.step import Side, Snapshot, Step, Taught
from retrieval.compress.losses.unpaired import unpaired_distillation


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


def test_affinity_mimicking_is_zero_for_equal_distributions() -> None:
    cosines = rows(3, seed=1) @ rows(4, seed=2).T
    assert affinity_mimicking(cosines, cosines, torch.tensor(20.0), 20.0).item() == (
        pytest.approx(0, abs=1e-6)
    )
    # Twice the cosines at half the scale is the same distribution.
    assert affinity_mimicking(cosines, 2 * cosines, torch.tensor(20.0), 10.0).item() == (
        pytest.approx(0, abs=1e-6)
    )


def test_affinity_mimicking_by_hand() -> None:
    student = torch.zeros(2, 2)
    teacher = torch.tensor([[math.log(3.0), 0.0], [0.0, math.log(3.0)]])
    # Every row and column of the teacher is (3/4, 1/4) in some order, the student's (1/2, 1/2).
    divergence = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    found = affinity_mimicking(student, teacher, torch.tensor(5.0), 1.0)
    assert found.item() == pytest.approx(divergence)


def test_hard_negative_contrast_by_hand() -> None:
    query = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    positive = torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    negatives = torch.tensor([[[0.8, 0.6], [-1.0, 0.0]], [[1.0, 0.0], [0.6, -0.8]]])
    first = negative_log_share(2 * 0.6, [2 * 0.8, -2.0])
    second = negative_log_share(2.0, [0.0, -1.6])
    found = hard_negative_contrast(query, positive, negatives, torch.tensor(2.0))
    assert found.item() == pytest.approx((first + second) / 2)


def test_affinity_with_a_temperature_of_its_own_equals_a_plain_divergence() -> None:
    step = paired_step(owner=[0, 1, 1])
    loss = AffinityMimicking(student_temperature=0.2, teacher_temperature=0.1)
    own = (step.similarity / 0.2).softmax(dim=1)
    images, texts = step.taught
    wanted = (images.teacher @ texts.teacher.T / 0.1).softmax(dim=1)
    by_row = (wanted * (wanted / own).log()).sum(dim=1).mean()
    own, wanted = (
        (cosines / temperature).softmax(dim=0)
        for cosines, temperature in (
            (step.similarity, 0.2),
            (images.teacher @ texts.teacher.T, 0.1),
        )
    )
    by_column = (wanted * (wanted / own).log()).sum(dim=0).mean()
    assert loss(step).item() == pytest.approx(((by_row + by_column) / 2).item(), rel=1e-4)


def test_interactive_contrast_crosses_only_towers_that_learn() -> None:
    owner = torch.tensor([0, 1, 1])
    step = paired_step(owner=owner.tolist())
    images, texts = step.taught
    assert images.student is not None
    assert texts.student is not None
    scale = torch.tensor(10.0)
    of_images = pair_contrastive(images.student @ texts.teacher.T, owner, scale)
    of_texts = pair_contrastive(images.teacher @ texts.student.T, owner, scale)
    loss = InteractiveContrastive(temperature=0.1)
    assert loss(step).item() == pytest.approx(((of_images + of_texts) / 2).item())
    assert step.images is not None
    alone = replace(step, images=replace(step.images, trained=False))
    assert loss(alone).item() == pytest.approx(of_texts.item())


def test_unpaired_distillation_by_hand() -> None:
    # One photo like the teacher's, one turned to the other unrelated sentence.
    student, teacher = torch.eye(2)[[0, 0]], torch.eye(2)
    others = torch.eye(2)
    high, low = math.exp(1) / (1 + math.exp(1)), 1 / (1 + math.exp(1))
    wrong_row = high * math.log(high / low) + low * math.log(low / high)
    # Columns: the teacher's are (high, low) and (low, high), the student's even.
    column = high * math.log(high / 0.5) + low * math.log(low / 0.5)
    expected = (wrong_row / 2 + column) / 2
    found = unpaired_distillation(
        student, teacher, others, temperature=1.0, pseudo=0.0, pseudo_softening=3.0
    )
    assert found.item() == pytest.approx(expected, rel=1e-5)
    # The teacher's own embeddings are the unrelated ones here: only the temperature differs.
    soft = unpaired_distillation(
        student * 3, teacher * 3, others, temperature=1.0, pseudo=1.0, pseudo_softening=3.0
    )
    alike = unpaired_distillation(
        student, 3 * teacher, others, temperature=1.0, pseudo=0.0, pseudo_softening=3.0
    )
    assert soft.item() > 0
    assert alike.item() > expected


def test_hidden_regression_sums_layers() -> None:
    one, two = torch.zeros(4, 3), torch.ones(4, 3)
    assert hidden_regression([(one, two), (one, 2 * two)]).item() == pytest.approx(5)


def test_self_regularisation_trusts_the_earlier_self_only_where_the_student_is_sure() -> None:
    belongs = torch.eye(2)
    unsure = torch.zeros(1, 2)
    earlier = torch.tensor([[4.0, 0.0]])
    # Even logits have all the entropy there is: only the right answer counts.
    assert self_regularisation(unsure, earlier, belongs[:1], 2.0).item() == (
        pytest.approx(math.log(2))
    )
    sure = torch.tensor([[30.0, 0.0]])
    # No entropy: T^2 times the cross-entropy to the earlier state's softened answer.
    second = 1 / (1 + math.exp(2))
    assert self_regularisation(sure, earlier, belongs[:1], 2.0).item() == (
        pytest.approx(4 * 15 * second, rel=1e-4)
    )


def test_self_regularisation_shares_the_right_answer_among_captions() -> None:
    unsure = torch.zeros(1, 3)
    belongs = torch.tensor([[1.0, 1.0, 0.0]])
    assert self_regularisation(unsure, unsure, belongs, 2.0).item() == pytest.approx(math.log(3))


def test_snapshots_weigh_the_first_state_and_the_mean_of_later_ones() -> None:
    student, banks = rows(3, seed=1), [rows(3, seed=seed) for seed in (2, 3, 4)]
    none = torch.empty(0, 8)
    snapshots = [
        Snapshot(own, lambda count: none, first=number == 0) for number, own in enumerate(banks)
    ]
    step = Step(images=Side(student, snapshots=snapshots))
    each = [contrastive_distillation(student, own, None, 0.1).item() for own in banks]
    loss = SnapshotContrast(first=0.5, later=2.0)
    assert loss(step).item() == pytest.approx(0.5 * each[0] + 2 * (each[1] + each[2]) / 2)
    only_first = Step(images=Side(student, snapshots=snapshots[:1]))
    assert loss(only_first).item() == pytest.approx(0.5 * each[0])


def test_matryoshka_repeats_pair_losses_on_prefixes() -> None:
    step = paired_step(owner=[0, 1, 1])
    losses = Losses.model_validate(
        {"pairs": 2, "regression": 1, "matryoshka": {"dims": [8], "weight": 0.5}}
    )
    found = losses.of([step])
    assert set(found) == {"pairs", "regression", "pairs@8"}
    images, texts = (F.normalize(side.student[:, :8], dim=1) for side in step.pair)
    assert step.photo_of_caption is not None
    assert step.scale is not None
    prefix = pair_contrastive(images @ texts.T, step.photo_of_caption, step.scale)
    assert found["pairs@8"].item() == pytest.approx(0.5 * 2 * prefix.item())


def test_lessons_of_several_teachers_are_averaged_and_the_rest_counts_once() -> None:
    one, two = paired_step(owner=[0, 1, 1], seed=5), paired_step(owner=[0, 1, 1], seed=9)
    losses = Losses.model_validate({"pairs": 1, "affinity": 3})
    found = losses.of([one, two])
    apart = [losses.of([step])["affinity"].item() for step in (one, two)]
    assert apart[0] != pytest.approx(apart[1])
    assert found["affinity"].item() == pytest.approx(sum(apart) / 2)
    assert found["pairs"].item() == pytest.approx(losses.of([one])["pairs"].item())


def paired_step(*, owner: list[int], seed: int = 5) -> Step:
    """Two photos and their captions, students as they are, teachers by ``seed``."""
    sides = []
    for number, count in enumerate((2, len(owner))):
        student = rows(count, 16, seed=20 + number)
        crossed, teacher = (rows(count, seed=seed + 2 * number + k) for k in range(2))
        taught = Taught(crossed, teacher, lambda count: torch.empty(0, 8))
        sides.append(Side(student, taught=taught))
    return Step(*sides, photo_of_caption=torch.tensor(owner), scale=torch.tensor(7.0))
