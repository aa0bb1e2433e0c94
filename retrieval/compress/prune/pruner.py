"""The modifier that prunes while a task trains."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from retrieval.compress.distributed.ranks import averaged, from_first
from retrieval.compress.importance.importance import Context, Importance
from retrieval.compress.loop.modifier import Modifier
from retrieval.compress.prune.budget import Budget
from retrieval.compress.prune.masks import Masks
from retrieval.compress.prune.meter import Meter, SteadyMeter, TorchMeter
from retrieval.compress.prune.norms import settle_norms
from retrieval.compress.prune.select import indices
from retrieval.compress.prune.settings import Prune
from retrieval.compress.prune.target import MeasuredTarget, Scale, make_target
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder, parameter_count
from retrieval.models.surgery.find import find_groups
from retrieval.models.surgery.shrink import adopt, shrink
from retrieval.models.surgery.units import Group
from retrieval.spec.defaults import HOST
from retrieval.spec.errors import RecipeError, SurgeryError
from retrieval.spec.tower import Tower

if TYPE_CHECKING:
    from retrieval.compress.loop.task import Task

_MODULE = "pruning"
"""Name of the masks in the task, and so in its saved state."""


class Pruner(Modifier):
    """Silences units on a schedule, and takes them out at the end.

    Silenced units keep getting gradients and can come back (PLATON, ICML 2022). The masks
    are part of the task, so they are saved, restored and kept as the best with its weights;
    `state_dict` holds the rest. Scores are averaged over the processes of a distributed run
    and everything else follows from them, so that all processes prune alike.

    Args:
        settings: What the recipe says.
        tokenizer: Makes the sentence that is timed for a budget in milliseconds.
        meters: Measure milliseconds, by the name of the target; by default PyTorch on one
            thread of this machine, as ``host``.

    Raises:
        RecipeError: Nothing measures on the target of the budget.
    """

    name = "prune"

    def __init__(
        self,
        settings: Prune,
        tokenizer: Tokenizer,
        *,
        meters: Mapping[str, Meter] | None = None,
    ) -> None:
        self.settings = settings
        self._tokenizer = tokenizer
        self._meter = _meter_for(settings.budget, meters or {HOST: TorchMeter()})
        self._reached = False
        self._watching = True

    def start(self, task: "Task", total: int) -> None:
        """Find the units, refuse what cannot be reached, gather scores, cut if that is due.

        Raises:
            RecipeError: The stage does not train such a tower, the budget is out of reach, or
                batch norm would keep the statistics of channels that are gone.
            SurgeryError: No tower has such units.
        """
        towers = self.settings.towers_of(task.towers)
        budget = self.settings.budget_of(towers)
        self._total = total
        self._model = task.model
        self._parameters = parameter_count(self._model)
        self._groups = _find(self._model, self.settings, towers)
        if "channel" in self.settings.granularity:
            settle_norms(task)
        scale = Scale(budget, self._model, self._tokenizer, self._meter)
        self._target = make_target(self.settings, self._groups, scale)
        self._importance = self._start_importance(task)
        self._masks = Masks(self._groups)
        for _ in task.gradients(self.settings.schedule.calibration):
            self._importance.before_step(0.0)
            self._importance.after_step()
        if self._cuts_first:
            self._choose(remaining=0.0)
            self._cut_for_good()
        else:
            task.add_module(_MODULE, self._masks)
            self._act(done=0)

    def before_forward(self, step: int) -> None:
        if self._watching:
            self._importance.before_forward()

    def losses(self, step: int) -> dict[str, Tensor]:
        return self._importance.losses() if self._watching else {}

    def before_step(self, step: int, rate: float) -> None:
        if self._watching:
            self._importance.before_step(rate)

    def after_step(self, step: int) -> None:
        if self._watching:
            self._importance.after_step()
        if not self._cuts_first:
            self._act(done=step + 1)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        with self._masks.applied():
            yield

    @property
    def settled(self) -> bool:
        """Whether as many units are silent as the budget asks for."""
        return self._reached

    def finish(self, task: "Task") -> Mapping[str, Any]:
        """Take the units of the loaded weights' masks out.

        Raises:
            TrainingError: The run ended before the whole cut, and scores are not finite.
        """
        if not self._cuts_first:
            if not self._reached:
                self._choose(remaining=0.0)
            delattr(task, _MODULE)
            self._cut_for_good()
        return self._figures

    def state_dict(self) -> dict[str, Any]:
        """Scores and progress; the masks are in the task's own state."""
        target = self._target
        return {
            "importance": self._importance.state_dict(),
            "target": target.state_dict() if isinstance(target, MeasuredTarget) else {},
            "reached": self._reached,
            "watching": self._watching,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._importance.load_state_dict(state["importance"])
        if isinstance(self._target, MeasuredTarget):
            self._target.load_state_dict(state["target"])
        self._reached = state["reached"]
        if not state["watching"]:
            self._stop_watching()

    @property
    def _cuts_first(self) -> bool:
        """Whether units that cannot be silenced go before the first step."""
        return "hidden" in self.settings.granularity

    def _act(self, done: int) -> None:
        """Do what the schedule asks for after ``done`` steps."""
        schedule, total = self.settings.schedule, self._total
        if self._watching and schedule.chooses(done, total):
            self._choose(schedule.remaining(done, total))
            fixed = self._reached and self._target.fixed_at_end
            if fixed or done >= schedule.last_choice(total):
                self._stop_watching()
        elif not self._watching or schedule.holds(done, total):
            self._masks.silence()

    def _stop_watching(self) -> None:
        """Nothing is chosen any more, so scores would be made in vain."""
        if self._watching:
            self._importance.close()
            self._watching = False

    def _choose(self, remaining: float) -> None:
        scores = averaged(self._importance.scores())
        self._masks.choose(self._target.select(scores, remaining))
        self._masks.silence()
        self._reached = remaining == 0

    def _cut_for_good(self) -> None:
        """Silent units leave the model, silent weights stay as zeros."""
        keep = self._masks.keep
        reached = self._target.reached(keep)
        self._masks.silence()
        self._stop_watching()
        if self.settings.structured:
            frozen = [n for n, one in self._model.named_parameters() if not one.requires_grad]
            adopt(self._model, shrink(self._model, indices(keep)))
            _freeze(self._model, frozen)
        self._figures = {
            "granularity": list(self.settings.granularity),
            "asked": self.settings.budget.model_dump(mode="json", exclude_defaults=True),
            "reached": reached,
            "parameters": {"before": self._parameters, "after": parameter_count(self._model)},
            "kept": {name: [int(mask.sum()), len(mask)] for name, mask in keep.items()},
        }

    def _start_importance(self, task: "Task") -> Importance:
        schedule, total = self.settings.schedule, self._total
        cutting = next(done for done in range(total + 1) if schedule.remaining(done, total) == 0)
        return self.settings.importance.start(
            Context(
                groups=self._groups,
                model=self._model,
                keep=self._target.share,
                total=max(1, cutting),
                evaluate=lambda: _score(task),
            )
        )


def _find(model: DualEncoder, settings: Prune, towers: tuple[Tower, ...]) -> list[Group]:
    """Groups of every kind that is asked for, in the towers that have it."""
    groups: list[Group] = []
    for granularity in settings.granularity:
        found: list[Group] = []
        missing: SurgeryError | None = None
        for tower in towers:
            try:
                found += find_groups(model, granularity, tower)
            except SurgeryError as error:
                missing = error
        if not found and missing is not None:
            raise missing
        groups += found
    return groups


def _score(task: "Task") -> float:
    """Dev recall of the present weights."""
    training = task.training
    task.eval()
    with torch.inference_mode():
        figures = from_first(lambda: dict(task.evaluate()))
    task.train(training)
    if "score" not in figures:
        raise RecipeError("prune.importance measures recall: give the recipe a dev split, data.dev")
    return float(figures["score"])


def _freeze(model: DualEncoder, names: Sequence[str]) -> None:
    """New towers learn where the old ones did."""
    parameters = dict(model.named_parameters())
    for name in names:
        if name in parameters:
            parameters[name].requires_grad_(False)


def _meter_for(budget: Budget, meters: Mapping[str, Meter]) -> Meter:
    if budget.target not in meters:
        raise RecipeError(
            f"prune.budget.target: nothing measures on {budget.target!r}; there is "
            f"{', '.join(sorted(meters))}"
        )
    return SteadyMeter(meters[budget.target])
