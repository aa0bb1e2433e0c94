"""The training loop of every stage: Fabric, exact resume, JSON lines, early stop."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch

from retrieval.compress.distributed.group import make_fabric
from retrieval.compress.distributed.ranks import any_of, from_first, mean, rank
from retrieval.compress.distributed.requirements import require_fixed_norms
from retrieval.compress.loop.average import WeightAverage
from retrieval.compress.loop.best import Best
from retrieval.compress.loop.divergence import DivergenceWatch
from retrieval.compress.loop.interrupt import interrupt_after_step
from retrieval.compress.loop.log import LOG, TrainingLog
from retrieval.compress.loop.modifier import Modifier
from retrieval.compress.loop.optimiser import make_optimiser, set_learning_rate
from retrieval.compress.loop.reporter import Reporter
from retrieval.compress.loop.state import STATE, read_state, write_state
from retrieval.compress.loop.task import Task
from retrieval.spec.errors import RecipeError, TrainingError

Phase = Literal["made", "started", "trained", "finished"]


class Loop:
    """Trains one task; its state can be saved after any step and resumed exactly.

    A loop is made, started, trained and finished, in this order and once each; `run` does
    all of it. Each process of a run has a loop; the first one evaluates, saves and logs, and
    all go back to the state that it saved.

    Args:
        task: Data, modules and losses.
        modifiers: What changes the model meanwhile.
        folder: Where the state and the log live while the stage runs.
        key: Names recipe and stage; a state of another key is refused.
        title: What to call the stage while it runs.
        seed: Seeds dropout; data order has seeds of its own.
        reporter: Told of every step.
    """

    def __init__(
        self,
        task: Task,
        folder: Path,
        *,
        modifiers: Sequence[Modifier] = (),
        key: str,
        title: str,
        seed: int,
        reporter: Reporter,
    ) -> None:
        settings = task.settings
        self.task = task
        self.modifiers = modifiers
        self.folder = folder
        self.key = key
        self.title = title
        self.reporter = reporter
        self.seed = seed
        self.phase: Phase = "made"
        self.step = 0
        self.steps_per_epoch = task.steps_per_epoch // settings.accumulation
        if self.steps_per_epoch == 0:
            raise RecipeError(
                f"{title}: training.accumulation is {settings.accumulation}, but an epoch has "
                f"{task.steps_per_epoch} batches; lower accumulation or batch_size"
            )
        require_fixed_norms(task)
        self.total = settings.epochs * self.steps_per_epoch
        self.best = Best()
        self.log = TrainingLog(folder / LOG)
        self.watch = DivergenceWatch()

    def run(self) -> Mapping[str, Any]:
        """Start, train and finish.

        The last state stays in the folder, so that a run that is stopped before its result
        is stored has nothing to train again.

        Returns:
            ``best_epoch``, the dev figures of the kept weights, and what modifiers did.

        Raises:
            TrainingError: The loss is not finite or diverges, or a saved state belongs to
                another run.
            KeyboardInterrupt: After Ctrl-C, once the state has been saved.
        """
        self.start()
        self.train()
        return self.finish()

    def start(self) -> None:
        """Let modifiers prepare the model, make the optimiser, go back to a saved state."""
        self._enter("started", after="made")
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.task.settings
        self.fabric = make_fabric(settings.precision)
        self.task.to(self.fabric.device)
        for modifier in self.modifiers:
            modifier.start(self.task, self.total)
        optimiser = make_optimiser(self.task, settings)
        self.module, self.optimiser = self.fabric.setup(self.task, optimiser)
        self.average = WeightAverage(self.task, settings.average) if settings.average else None
        torch.manual_seed(self.seed)
        self._resume()
        self.reporter.begin(self.title, self.total, self.step)
        if self.step == 0:
            # A stage must not end with weights that are worse than those it was given.
            self._judge(epoch=-1)

    def train(self) -> None:
        """Take all steps that are left."""
        self._enter("trained", after="started")
        resumed_at, saved = self.step, time.monotonic()
        with interrupt_after_step() as interrupt:
            while self.step < self.total and not self._should_stop():
                for _ in self._epoch():
                    # Asked together, so that no process waits for one that has stopped.
                    stop = any_of(interrupt.requested)
                    due = time.monotonic() - saved > self.task.settings.save_every_seconds
                    if stop or due:
                        self._save()
                        saved = time.monotonic()
                    if stop:
                        raise KeyboardInterrupt
            if self.step > resumed_at:
                self._save()

    def finish(self) -> Mapping[str, Any]:
        """Load the best weights and make what modifiers did permanent; figures of both."""
        self._enter("finished", after="trained")
        self.best.restore(self.task, self.modifiers)
        self.task.eval()
        figures: dict[str, Any] = {"best_epoch": self.best.figures}
        for modifier in self.modifiers:
            figures[modifier.name] = modifier.finish(self.task)
        return figures

    def _enter(self, phase: Phase, *, after: Phase) -> None:
        if self.phase != after:
            raise RuntimeError(f"{self.title}: cannot be {phase}, since it is {self.phase}")
        self.phase = phase

    def _epoch(self) -> Iterator[None]:
        """The rest of the present epoch; yields after every step, when state can be saved."""
        epoch, first = divmod(self.step, self.steps_per_epoch)
        settings = self.task.settings
        if first == 0:
            self.task.eval()
            self.task.start_epoch(epoch)
        self.task.train()
        batches = self.task.batches(epoch, first * settings.accumulation)
        for step in range(first, self.steps_per_epoch):
            started = time.monotonic()
            losses = self._step(batches)
            self.step += 1
            self._record(epoch, losses, time.monotonic() - started)
            if step + 1 == self.steps_per_epoch:
                self._judge(epoch)
            yield

    def _step(self, batches: Any) -> dict[str, float]:
        settings = self.task.settings
        rate = set_learning_rate(self.optimiser, settings, self.step, self.total)
        seen: dict[str, float] = {}
        for modifier in self.modifiers:
            modifier.before_forward(self.step)
        for part in range(settings.accumulation):
            batch = self.fabric.to_device(next(batches))
            last = part + 1 == settings.accumulation
            with nullcontext() if last else self.fabric.no_backward_sync(self.module):
                losses = dict(self.module(batch))
                for modifier in self.modifiers:
                    losses |= modifier.losses(self.step)
                total = torch.stack(list(losses.values())).sum() / settings.accumulation
                values = mean([value.item() for value in losses.values()])
                if not math.isfinite(sum(values)):
                    self._give_up(f"the loss is {sum(values)}")
                self.fabric.backward(total)
            for name, value in zip(losses, values, strict=True):
                seen[name] = seen.get(name, 0.0) + value / settings.accumulation
        if self.watch.diverges(sum(seen.values())):
            self._give_up(self.watch.finding)
        self.fabric.clip_gradients(self.module, self.optimiser, max_norm=settings.gradient_clip)
        for modifier in self.modifiers:
            modifier.before_step(self.step, rate)
        self.optimiser.step()
        for modifier in self.modifiers:
            modifier.after_step(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update()
        return seen

    def _give_up(self, reason: str) -> NoReturn:
        # A run resumes exactly, so going on from a saved state would end here again.
        if not rank():
            (self.folder / STATE).unlink(missing_ok=True)
        raise TrainingError(
            f"{self.title}: {reason} at step {self.step}; lower "
            "training.learning_rate or raise training.warmup, then run it again"
        )

    def _record(self, epoch: int, losses: Mapping[str, float], seconds: float) -> None:
        total = sum(losses.values())
        entry = {"step": self.step, "epoch": epoch, "loss": total, **losses, "seconds": seconds}
        self.log.write(entry)
        best = self.best.score
        note = f"loss {total:.3f}" + ("" if best is None else f", best dev recall {best:.3f}")
        self.reporter.advance(self.step, note=note)

    def _judge(self, epoch: int) -> None:
        """Evaluate the epoch's weights (their average, if one is kept); remember the best.

        Epoch -1 stands for the weights at the start.
        """
        self.task.eval()
        with ExitStack() as as_shipped:
            if self.average is not None:
                as_shipped.enter_context(self.average.applied())
            for modifier in self.modifiers:
                as_shipped.enter_context(modifier.evaluating())
            with torch.inference_mode():
                figures = from_first(lambda: dict(self.task.evaluate()))
            score = figures.get("score")
            for modifier in self.modifiers:
                modifier.judged(score)
            self.task.judged(score)
            self.best.offer(self.task, self.modifiers, figures)
        self.task.train()
        if figures:
            self.log.write({"step": self.step, "epoch": epoch, "dev": figures})
            self.reporter.tell(f"{self.title}: epoch {epoch + 1}, dev recall {score:.4f}")

    def _should_stop(self) -> bool:
        patience = self.task.settings.patience
        return patience is not None and self.best.evaluations_without_gain >= patience

    def _save(self) -> None:
        if rank():
            return
        on_gpu = self.fabric.device.type == "cuda"
        state = {
            "step": self.step,
            "module": self.task.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "precision": self.fabric.strategy.precision.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.fabric.device) if on_gpu else None,
            "best": self.best.state_dict(),
            "watch": self.watch.state_dict(),
            "task": self.task.extra_state(),
            "modifiers": [modifier.state_dict() for modifier in self.modifiers],
        }
        write_state(self.folder / STATE, self.key, state)

    def _resume(self) -> None:
        path = self.folder / STATE
        if not from_first(path.exists):
            self.log.begin_at(0)
            return
        state = read_state(path, self.key)
        self.step = state["step"]
        self.task.load_state_dict(state["module"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.best.load_state_dict(state["best"])
        self.watch.load_state_dict(state["watch"])
        self.task.load_extra_state(state["task"])
        for modifier, kept in zip(self.modifiers, state["modifiers"], strict=True):
            modifier.load_state_dict(kept)
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None and self.fabric.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"], self.fabric.device)
        self.log.begin_at(self.step)
