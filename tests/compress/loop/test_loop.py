import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from retrieval.compress.loop.loop import Loop
from retrieval.compress.loop.modifier import Modifier
from retrieval.compress.loop.reporter import SilentReporter
from retrieval.compress.loop.settings import Training
from retrieval.compress.loop.state import STATE
from retrieval.compress.loop.task import Task
from retrieval.models.transformer import set_dropout
from retrieval.spec.errors import RecipeError, TrainingError


class Line(Task):
    """Learns a line of slope 3; `evaluate` gives the scores that it is told to.

    The first score and the first of ``weights`` are those of the start.
    """

    def __init__(self, settings: Training, scores: list[float] | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.steps_per_epoch = 4
        self.layer = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.layer.weight)
        self.dropout = nn.Dropout(0)
        self.norm = nn.BatchNorm1d(1)
        self.scores = scores
        self.weights: list[float] = []

    def batches(self, epoch: int, first: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(epoch)
        batches = torch.randn(4, 8, 1, generator=generator)
        yield from batches[first:]

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        error = self.layer(batch) - 3 * batch
        return {"squared": error.square().mean(), "absolute": 0.1 * error.abs().mean()}

    def evaluate(self) -> Mapping[str, Any]:
        self.weights.append(self.layer.weight.item())
        assert not self.training
        return {} if self.scores is None else {"score": self.scores[len(self.weights) - 1]}


def loop(task: Task, folder: Path) -> Loop:
    return Loop(task, folder, key="k", title="line", seed=0, reporter=SilentReporter())


def settings(**changes: Any) -> Training:
    return Training(**{"learning_rate": 0.05, "weight_decay": 0, "warmup": 0, **changes})


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").open()]


def test_the_best_epoch_is_kept(tmp_path: Path) -> None:
    task = Line(settings(epochs=4), [0, 0.1, 0.7, 0.3, 0.6])
    assert loop(task, tmp_path).run() == {"best_epoch": {"score": 0.7}}
    assert len(task.weights) == 5
    assert task.layer.weight.item() == task.weights[2]


def test_a_stage_that_only_makes_it_worse_gives_back_the_start(tmp_path: Path) -> None:
    task = Line(settings(epochs=2), [0.5, 0.1, 0.2])
    assert loop(task, tmp_path).run() == {"best_epoch": {"score": 0.5}}
    assert task.layer.weight.item() == task.weights[0] == 0


def test_patience_ends_a_run_that_gets_no_better(tmp_path: Path) -> None:
    task = Line(settings(epochs=9, patience=2), [0, 0.1, 0.7, 0.3, 0.7, 0.9, 0.9, 0.9, 0.9, 0.9])
    assert loop(task, tmp_path).run() == {"best_epoch": {"score": 0.7}}
    assert len(task.weights) == 5
    assert task.layer.weight.item() == task.weights[2]
    assert [entry["epoch"] for entry in log(tmp_path) if "dev" in entry] == [-1, 0, 1, 2, 3]


def test_without_dev_the_last_epoch_is_kept(tmp_path: Path) -> None:
    task = Line(settings(epochs=3))
    assert loop(task, tmp_path).run() == {"best_epoch": {}}
    assert task.layer.weight.item() == task.weights[-1] > task.weights[1] > 0
    assert len(task.weights) == 4


def test_the_average_of_the_weights_is_what_is_judged_and_kept(tmp_path: Path) -> None:
    plain, averaged = Line(settings(epochs=1)), Line(settings(epochs=1, average=0.99))
    loop(plain, tmp_path / "plain").run()
    loop(averaged, tmp_path / "averaged").run()
    assert 0 < averaged.weights[1] < plain.weights[1]
    assert averaged.layer.weight.item() == averaged.weights[1]


def test_accumulation_takes_fewer_steps_over_the_same_batches(tmp_path: Path) -> None:
    task = Line(settings(epochs=2, accumulation=2))
    loop(task, tmp_path).run()
    entries = log(tmp_path)
    assert [entry["step"] for entry in entries] == [1, 2, 3, 4]
    first = torch.randn(4, 8, 1, generator=torch.Generator().manual_seed(0))[:2]
    assert entries[0]["squared"] == pytest.approx((9 * first.square()).mean().item())
    assert entries[0]["loss"] == pytest.approx(entries[0]["squared"] + entries[0]["absolute"])


def test_more_accumulation_than_batches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="accumulation is 5, but an epoch has 4 batches"):
        loop(Line(settings(accumulation=5)), tmp_path)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_run_with_advice(tmp_path: Path, bad: float) -> None:
    class Breaks(Line):
        calls = 0

        def forward(self, batch: Tensor) -> dict[str, Tensor]:
            self.calls += 1
            losses = super().forward(batch)
            return losses if self.calls < 3 else {"squared": losses["squared"] * bad}

    task = Breaks(settings(save_every_seconds=1e-9))
    with pytest.raises(TrainingError, match="line: the loss is .* at step 2; lower training.learn"):
        loop(task, tmp_path).run()
    # The next run, with another recipe, must not find a state that it has to refuse.
    assert not (tmp_path / STATE).exists()


def test_dropout_and_batch_norm_are_as_the_recipe_says(tmp_path: Path) -> None:
    for freeze in (True, False):
        task = Line(settings(dropout=0.3, freeze_norm=freeze))
        task.train()
        assert task.dropout.p == 0.3
        assert task.norm.training is not freeze
        task.eval()
        assert not task.norm.training
    set_dropout(task, 0.0)
    assert task.dropout.p == 0


def test_a_diverging_loss_ends_the_run_with_advice(tmp_path: Path) -> None:
    class Diverges(Line):
        calls = 0

        def forward(self, batch: Tensor) -> dict[str, Tensor]:
            self.calls += 1
            losses = super().forward(batch)
            return losses if self.calls < 60 else {"squared": losses["squared"] * 0 + 1000}

    task = Diverges(settings(epochs=100))
    with pytest.raises(TrainingError, match="line: the loss diverges: .* lower training.learning"):
        loop(task, tmp_path).run()


def test_calls_out_of_order_are_refused(tmp_path: Path) -> None:
    made = loop(Line(settings(epochs=1)), tmp_path)
    with pytest.raises(RuntimeError, match="line: cannot be trained, since it is made"):
        made.train()
    made.start()
    with pytest.raises(RuntimeError, match="cannot be finished, since it is started"):
        made.finish()
    with pytest.raises(RuntimeError, match="cannot be started, since it is started"):
        made.start()
    made.train()
    assert made.finish() == {"best_epoch": {}}


class Halves(Modifier):
    """Settles after some steps; while the model is evaluated its weight is half."""

    name = "halves"

    def __init__(self, settles: int = 0) -> None:
        self.settles = settles
        self.calls: list[str] = []
        self.done = 0

    def start(self, task: Task, total: int) -> None:
        self.calls.append(f"start {total}")
        self.layer = task.layer

    def before_forward(self, step: int) -> None:
        self.calls.append(f"forward {step}")

    def losses(self, step: int) -> dict[str, Tensor]:
        return {"penalty": self.layer.weight.sum() * 0 + 7}

    def before_step(self, step: int, rate: float) -> None:
        assert self.layer.weight.grad is not None
        self.before = self.layer.weight.item()

    def after_step(self, step: int) -> None:
        assert self.layer.weight.grad is not None
        assert self.layer.weight.item() != self.before
        self.calls.append(f"after {step}")
        self.done = step + 1

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        with torch.no_grad():
            self.layer.weight.mul_(0.5)
        yield
        with torch.no_grad():
            self.layer.weight.mul_(2)

    @property
    def settled(self) -> bool:
        return self.done >= self.settles

    def finish(self, task: Task) -> Mapping[str, Any]:
        return {"done": self.done}

    def state_dict(self) -> dict[str, Any]:
        return {"done": self.done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.done = state["done"]


def modified(task: Task, modifier: Modifier, folder: Path) -> Loop:
    return Loop(
        task, folder, modifiers=[modifier], key="k", title="line", seed=0,
        reporter=SilentReporter(),
    )  # fmt: skip


def test_modifiers_are_called_around_every_step(tmp_path: Path) -> None:
    halves = Halves()
    modified(Line(settings(epochs=1)), halves, tmp_path).run()
    steps = [f"{call} {step}" for step in range(4) for call in ("forward", "after")]
    assert halves.calls == ["start 4", *steps]
    assert all(entry["penalty"] == 7 for entry in log(tmp_path) if "loss" in entry)


def test_weights_are_kept_as_they_were_evaluated_with_the_modifiers_state(tmp_path: Path) -> None:
    task = Line(settings(epochs=3), [0, 0.1, 0.9, 0.2])
    found = modified(task, Halves(), tmp_path).run()
    assert found == {"best_epoch": {"score": 0.9}, "halves": {"done": 8}}
    assert task.layer.weight.item() == task.weights[2]


def test_only_settled_weights_are_kept_however_good_others_were(tmp_path: Path) -> None:
    task = Line(settings(epochs=3, patience=1), [0.9, 0.8, 0.3, 0.2])
    found = modified(task, Halves(settles=8), tmp_path).run()
    assert found["best_epoch"] == {"score": 0.3}
    assert task.layer.weight.item() == task.weights[2]
