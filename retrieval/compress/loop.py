"""The training loop of every stage: Fabric, exact resume, JSON lines, early stop."""

import io
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import torch
from lightning_fabric import Fabric

from retrieval.compress.average import WeightAverage
from retrieval.compress.interrupt import interrupt_after_step
from retrieval.compress.optimiser import make_optimiser, set_learning_rate
from retrieval.compress.reporter import Reporter
from retrieval.compress.task import Task
from retrieval.spec.errors import RecipeError, TrainingError
from retrieval.spec.files import replacing

STATE = "state.pt"
LOG = "log.jsonl"


class Loop:
    """Trains one task; its state can be saved after any step and resumed exactly.

    Args:
        task: Data, modules and losses.
        folder: Where the state and the log live while the stage runs.
        key: Names recipe and stage; a state of another key is refused.
        title: What to call the stage while it runs.
        seed: Seeds dropout; data order has seeds of its own.
        reporter: Told of every step.
    """

    def __init__(
        self, task: Task, folder: Path, *, key: str, title: str, seed: int, reporter: Reporter
    ) -> None:
        settings = task.settings
        self.task = task
        self.folder = folder
        self.key = key
        self.title = title
        self.reporter = reporter
        self.fabric = Fabric(accelerator="auto", devices=1, precision=settings.precision)
        optimiser = make_optimiser(task, settings)
        self.module, self.optimiser = self.fabric.setup(task, optimiser)
        self.average = WeightAverage(task, settings.average) if settings.average else None
        self.step = 0
        self.steps_per_epoch = task.steps_per_epoch // settings.accumulation
        if self.steps_per_epoch == 0:
            raise RecipeError(
                f"{title}: training.accumulation is {settings.accumulation}, but an epoch has "
                f"{task.steps_per_epoch} batches; lower accumulation or batch_size"
            )
        self.total = settings.epochs * self.steps_per_epoch
        self.best: dict[str, Any] = {}
        self.epochs_without_gain = 0
        torch.manual_seed(seed)

    def run(self) -> Mapping[str, Any]:
        """Train to the end, or go on where a saved state stops, and load the best weights.

        The last state stays in the folder, so that a run that is stopped before its result
        is stored has nothing to train again.

        Returns:
            The dev figures of the kept weights.

        Raises:
            TrainingError: The loss is not finite, or a saved state belongs to another run.
            KeyboardInterrupt: After Ctrl-C, once the state has been saved.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        self.reporter.begin(self.title, self.total, self.step)
        if self.step == 0:
            # A stage must not end with weights that are worse than those it was given.
            self._judge(epoch=-1)
        resumed_at, saved = self.step, time.monotonic()
        with interrupt_after_step() as interrupt:
            while self.step < self.total and not self._should_stop():
                for _ in self._epoch():
                    due = time.monotonic() - saved > self.task.settings.save_every_seconds
                    if interrupt.requested or due:
                        self._save()
                        saved = time.monotonic()
                    if interrupt.requested:
                        raise KeyboardInterrupt
            if self.step > resumed_at:
                self._save()
        self._keep_best()
        return dict(self.best.get("figures", {}))

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
        set_learning_rate(self.optimiser, settings, self.step, self.total)
        seen: dict[str, float] = {}
        for part in range(settings.accumulation):
            batch = self.fabric.to_device(next(batches))
            last = part + 1 == settings.accumulation
            with nullcontext() if last else self.fabric.no_backward_sync(self.module):
                losses = self.module(batch)
                total = torch.stack(list(losses.values())).sum() / settings.accumulation
                if not torch.isfinite(total):
                    self._give_up(total.item())
                self.fabric.backward(total)
            for name, value in losses.items():
                seen[name] = seen.get(name, 0.0) + value.item() / settings.accumulation
        self.fabric.clip_gradients(self.module, self.optimiser, max_norm=settings.gradient_clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update()
        return seen

    def _give_up(self, loss: float) -> NoReturn:
        # A run resumes exactly, so going on from a saved state would end here again.
        (self.folder / STATE).unlink(missing_ok=True)
        raise TrainingError(
            f"{self.title}: the loss is {loss} at step {self.step}; lower "
            "training.learning_rate or raise training.warmup, then run it again"
        )

    def _record(self, epoch: int, losses: Mapping[str, float], seconds: float) -> None:
        total = sum(losses.values())
        self._log({"step": self.step, "epoch": epoch, "loss": total, **losses, "seconds": seconds})
        best = self.best.get("score")
        note = f"loss {total:.3f}" + ("" if best is None else f", best dev recall {best:.3f}")
        self.reporter.advance(self.step, note=note)

    def _judge(self, epoch: int) -> None:
        """Evaluate the epoch's weights (their average, if one is kept); remember the best.

        Epoch -1 stands for the weights at the start.
        """
        self.task.eval()
        with self.average.applied() if self.average else nullcontext():
            with torch.inference_mode():
                figures = dict(self.task.evaluate())
            score = figures.get("score", math.inf)
            # Without a dev split every epoch counts as the best so far: the last one is kept.
            if "score" not in figures or score > self.best.get("score", -math.inf):
                weights = {name: t.detach().clone() for name, t in self.task.state_dict().items()}
                self.best = {"score": figures.get("score"), "figures": figures, "weights": weights}
                self.best["epoch"] = epoch
                self.epochs_without_gain = 0
            else:
                self.epochs_without_gain += 1
        self.task.train()
        if figures:
            self._log({"step": self.step, "epoch": epoch, "dev": figures})
            self.reporter.tell(f"{self.title}: epoch {epoch + 1}, dev recall {score:.4f}")

    def _should_stop(self) -> bool:
        patience = self.task.settings.patience
        return patience is not None and self.epochs_without_gain >= patience

    def _keep_best(self) -> None:
        self.task.load_state_dict(self.best["weights"])
        self.task.eval()

    def _log(self, entry: Mapping[str, Any]) -> None:
        with (self.folder / LOG).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")

    def _save(self) -> None:
        state = {
            "key": self.key,
            "step": self.step,
            "module": self.task.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "precision": self.fabric.strategy.precision.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else None,
            "best": self.best,
            "epochs_without_gain": self.epochs_without_gain,
            "task": self.task.extra_state(),
        }
        # Through memory: torch reports a full disk as an error of its zip writer.
        packed = io.BytesIO()
        torch.save(state, packed)
        with replacing(self.folder / STATE) as temporary:
            temporary.write_bytes(packed.getbuffer())

    def _resume(self) -> None:
        path = self.folder / STATE
        if not path.exists():
            (self.folder / LOG).unlink(missing_ok=True)
            return
        try:
            state = torch.load(path, map_location="cpu", weights_only=False)
        except Exception as error:  # pickle raises almost anything on a damaged file
            raise TrainingError(
                f"{path} is damaged ({error}); delete it to start the stage again"
            ) from error
        if state["key"] != self.key:
            raise TrainingError(
                f"{path} belongs to another recipe; delete {self.folder} or choose another --out"
            )
        self.step = state["step"]
        self.task.load_state_dict(state["module"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.best = state["best"]
        self.epochs_without_gain = state["epochs_without_gain"]
        self.task.load_extra_state(state["task"])
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["random_cuda"])
        self._cut_log()

    def _cut_log(self) -> None:
        """Drop log lines of steps after the state that is resumed, so none appears twice."""
        path = self.folder / LOG
        if not path.exists():
            return
        kept = [
            line
            for line in path.read_text("utf-8").splitlines(keepends=True)
            if line.endswith("\n") and json.loads(line)["step"] <= self.step
        ]
        with replacing(path) as temporary:
            temporary.write_text("".join(kept), "utf-8")
