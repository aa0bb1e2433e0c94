from pathlib import Path

import pytest

from retrieval.compress.plan.amounts import Amount, Amounts
from retrieval.compress.plan.bill import Bill, BilledStep, StageCost, cache_step
from retrieval.compress.plan.profiles import (
    Measured,
    StageProfile,
    StudentProfile,
    TeacherProfile,
)
from retrieval.compress.stages.settings import Distil, Finetune, Pretrain, Trained

MB = 1_000_000


def measured(
    batch: int, seconds: float, *, saved: int = 0, memory: int | None = 100 * MB
) -> Measured:
    return Measured(batch, (seconds, seconds), saved, memory, None)


def profile(*points: Measured) -> StageProfile:
    return StageProfile(points, checkpoint_bytes=7 * MB)


STUDENT = StudentProfile(
    parameters={"image": 1000, "text": 500},
    seconds_per_photo=0.1,
    seconds_per_sentence=0.01,
    seconds_per_view=0.2,
    products_per_second=1e6,
)
TEACHER = TeacherProfile("teacher", False, 32, 5000, 0.5, 0.25, 50 * MB)
AMOUNTS = Amounts(
    photos=[Amount(Path("photos"), 40, 0)],
    sentences=[Amount(Path("text.txt"), 0, 60)],
    pairs=[Amount(Path("train.jsonl"), 100, 500)],
    captions=[Amount(Path("captions.jsonl"), 70, 200)],
    dev=Amount(Path("dev.jsonl"), 10, 50),
)


def cost(stage: Trained, steps: StageProfile, amounts: Amounts = AMOUNTS) -> StageCost:
    return StageCost(
        stage=stage,
        profile=steps,
        student=STUDENT,
        teacher_dim=32,
        dim=16,
        amounts=amounts,
        cores=2,
        context=77,
    )


def distil(tower: str, **training: object) -> Distil:
    settings = {"epochs": 2, "batch_size": 10, "loader_workers": 8, **training}
    return Distil.model_validate({"stage": "distil", "tower": tower, "training": settings})


def finetune(tower: str, **losses: object) -> Finetune:
    value = {"stage": "finetune", "towers": [tower], "losses": {"pairs": 1, **losses}}
    return Finetune.model_validate(value | {"training": {"epochs": 2, "batch_size": 10}})


def test_a_larger_batch_lies_on_the_line_through_two_small_ones() -> None:
    found = profile(measured(4, 3.0, saved=40 * MB), measured(8, 5.0, saved=80 * MB))
    assert found.seconds(16) == pytest.approx(9.0)
    assert found.memory(16) == 100 * MB + 80 * MB


def test_without_a_rising_line_time_is_in_proportion() -> None:
    assert profile(measured(4, 3.0), measured(8, 2.0)).seconds(16) == pytest.approx(4.0)
    assert profile(measured(8, 2.0)).seconds(16) == pytest.approx(4.0)


def test_unknown_memory_stays_unknown() -> None:
    assert profile(measured(4, 1.0, memory=None)).memory(8) is None


def test_epochs_count_the_items_of_the_tower() -> None:
    steps = profile(measured(10, 1.0))
    assert cost(distil("image"), steps).steps_per_epoch == 14
    assert cost(distil("text"), steps).steps_per_epoch == 56
    assert cost(finetune("text"), steps).steps_per_epoch == 10
    pretrain = Pretrain.model_validate({"stage": "pretrain", "training": {"batch_size": 10}})
    assert cost(pretrain, steps).steps_per_epoch == 7
    assert cost(distil("image", accumulation=4), steps).steps_per_epoch == 3


def test_a_step_takes_as_long_as_its_slower_half() -> None:
    quick, slow = profile(measured(10, 0.5)), profile(measured(10, 3.0))
    # Two cores load ten views in a second.
    assert cost(distil("image"), quick).seconds_per_step == pytest.approx(1.0)
    assert cost(distil("image"), slow).seconds_per_step == pytest.approx(3.0)
    assert cost(distil("text"), quick).seconds_per_step == pytest.approx(0.5)


def test_a_stage_is_steps_and_evaluations() -> None:
    billed = cost(distil("image"), profile(measured(10, 1.0))).billed(
        "1-distil-image", steps_taken=7, finished=False
    )
    # Dev is embedded at the start and after each epoch; at the end by both towers.
    assert billed.seconds == pytest.approx(2 * 14 * 1.0 + 4 * 10 * 0.1 + 50 * 0.01)
    assert billed.done == pytest.approx(7 / 28)
    assert billed.seconds_left == pytest.approx(0.75 * billed.seconds)
    assert billed.disk == 7 * MB


def test_hard_negatives_cost_embedding_searching_and_memory() -> None:
    steps = profile(measured(10, 1.0))
    plain = cost(finetune("image"), steps).billed("x", steps_taken=0, finished=False)
    mining = cost(finetune("image", hard_negatives=1), steps).billed(
        "x", steps_taken=0, finished=False
    )
    assert plain.seconds is not None
    assert mining.seconds is not None
    search = 100 * 500 * 16 / 1e6
    assert mining.seconds - plain.seconds == pytest.approx(2 * (100 * 0.1 + search))
    assert plain.memory is not None
    assert mining.memory is not None
    assert mining.memory > plain.memory
    assert mining.scratch > plain.scratch


def test_a_cache_is_priced_by_what_the_teacher_embeds() -> None:
    billed = cache_step(TEACHER, AMOUNTS.pairs[0], done=False)
    assert billed.seconds == pytest.approx(100 * 0.5 + 500 * 0.25)
    # A photo's embedding is stored beside each of its captions.
    assert billed.disk >= 500 * 2 * 32 * 2
    assert cache_step(TEACHER, AMOUNTS.pairs[0], done=True).seconds_left == 0


def test_a_bill_adds_up_what_is_left() -> None:
    steps = (
        BilledStep("download", "", None, disk=10),
        BilledStep("one", "", 100.0, memory=9, disk=5, scratch=50, done=1.0),
        BilledStep("two", "", 100.0, memory=7, disk=5, scratch=40, done=0.25),
    )
    bill = Bill("recipe", "machine", steps, ())
    assert (bill.seconds_left, bill.memory, bill.disk) == (75.0, 7, 70)
