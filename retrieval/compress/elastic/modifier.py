"""The modifier that trains nested sizes of a model while a task trains the whole."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from retrieval.compress.distributed.ranks import averaged, from_first, own_noise
from retrieval.compress.elastic.nesting import Nesting, keep_of, nested_groups, side_of
from retrieval.compress.elastic.order import reorder, spread_order
from retrieval.compress.elastic.settings import Elastic
from retrieval.compress.elastic.tiers import Tier, steps_of, tier_at
from retrieval.compress.importance.importance import Context
from retrieval.compress.loop.modifier import Modifier
from retrieval.compress.prune.select import Keep, indices
from retrieval.models.dual_encoder import parameter_count
from retrieval.models.surgery.gates import Gates
from retrieval.models.surgery.shrink import shrink
from retrieval.models.surgery.units import Group
from retrieval.spec.errors import RecipeError
from retrieval.spec.tower import Tower

if TYPE_CHECKING:
    from retrieval.compress.loop.task import Task

_WITHOUT_GRADIENTS = ("magnitude", "random", "ablation")
_HALF = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class ElasticModifier(Modifier):
    """Runs smaller sizes of each tower on the batch that the task has just given it.

    At the start units are put in the order of their importance, which changes nothing that
    the model computes. Then every step adds, for each tower that trains, the distance of the
    embeddings of smaller sizes to those of the whole, whose gradient is stopped: so the whole
    model learns by the task's losses alone. Sizes depend on the step alone. Smaller sizes use
    the statistics that the whole model's batch norms have stored, so they work after
    extraction as they did in training.

    Weights are kept as the best only from the middle of the stage on: those at the start may
    well have the best recall of the whole model, and no smaller one inside them works.

    Args:
        settings: What the recipe says.
    """

    name = "elastic"

    def __init__(self, settings: Elastic) -> None:
        self.settings = settings
        self._done = 0

    def start(self, task: "Task", total: int) -> None:
        """Order the units, and listen to what the towers are given.

        Raises:
            RecipeError: The stage does not train such a tower.
            SurgeryError: No tower has such units.
        """
        settings = self.settings
        self._total = total
        self._model = task.model
        self._precision = _HALF.get(task.settings.precision)
        self._groups = nested_groups(
            task.model, settings.granularity, settings.towers_of(task.towers)
        )
        by_score = settings.layers == "importance"
        of_widths = [group for group in self._groups if group.granularity != "layer"]
        scores = self._scores(task, self._groups if by_score else of_widths)
        reorder(task.model, of_widths, scores)
        self._layers = self._layer_orders(scores)
        self._seen: dict[Tower, tuple[Tensor, Tensor]] = {}
        self._hooks = [self._listen(side) for side in dict.fromkeys(map(side_of, self._groups))]

    def losses(self, step: int) -> dict[str, Tensor]:
        """Squared distances of smaller sizes to the whole, averaged over the sizes."""
        losses = {}
        for side, (given, whole) in self._seen.items():
            wanted = F.normalize(whole.detach().float(), dim=-1)
            tower = getattr(self._model, side)
            distances = []
            for tier in self._drawn(step, side):
                with own_noise(), self._cut(side, tier), self._autocast(given.device.type):
                    found = tower(given)
                difference = F.normalize(found.float(), dim=-1) - wanted
                distances.append(difference.square().sum(dim=-1).mean())
            losses[f"elastic_{side}"] = self.settings.weight * torch.stack(distances).mean()
        self._seen = {}
        return losses

    def after_step(self, step: int) -> None:
        self._done = step + 1

    @property
    def settled(self) -> bool:
        """Whether smaller sizes have had half of the stage to learn."""
        return 2 * self._done >= self._total

    def finish(self, task: "Task") -> Mapping[str, Any]:
        """Measure each tier; what is said of the nesting is what `leanclip extract` reads."""
        for hook in self._hooks:
            hook.remove()
        nesting = Nesting(
            granularity=self.settings.granularity, tiers=self.settings.tiers, layers=self._layers
        )
        return {
            "nesting": nesting.model_dump(mode="json"),
            "tiers": [self._figures(task, tier) for tier in steps_of(self.settings.tiers)],
        }

    def state_dict(self) -> dict[str, Any]:
        """Progress and the order of the layers; that of other units is in the weights."""
        return {"done": self._done, "layers": self._layers}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._done, self._layers = state["done"], state["layers"]

    def _scores(self, task: "Task", groups: Sequence[Group]) -> dict[str, Tensor]:
        settings = self.settings
        importance = settings.importance.start(
            Context(
                groups=groups,
                model=self._model,
                keep=settings.tiers[-1].width,
                total=1,
                evaluate=lambda: _score(task),
            )
        )
        needs_gradients = settings.importance.criterion not in _WITHOUT_GRADIENTS
        for _ in task.gradients(settings.calibration if needs_gradients else 0):
            importance.before_step(0.0)
            importance.after_step()
        scores = averaged(importance.scores())
        importance.close()
        return scores

    def _layer_orders(self, scores: Mapping[str, Tensor]) -> dict[Tower, tuple[int, ...]]:
        orders: dict[Tower, tuple[int, ...]] = {side_of(group): () for group in self._groups}
        for group in self._groups:
            if group.granularity == "layer":
                order = spread_order(group.units)
                if group.name in scores:
                    order = tuple(scores[group.name].argsort(descending=True, stable=True).tolist())
                orders[side_of(group)] = order
        return orders

    def _listen(self, side: Tower) -> torch.utils.hooks.RemovableHandle:
        def note(tower: nn.Module, given: tuple[Any, ...], whole: Tensor) -> None:
            if tower.training and torch.is_grad_enabled() and side not in self._seen:
                self._seen[side] = (given[0], whole)

        tower: nn.Module = getattr(self._model, side)
        return tower.register_forward_hook(note)

    def _drawn(self, step: int, side: Tower) -> list[Tier]:
        """The smallest size, and some between the tiers."""
        tiers = self.settings.tiers
        random = np.random.default_rng([step, int(side == "text")])
        positions = random.uniform(size=self.settings.drawn).tolist()
        return [tiers[-1], *(tier_at(tiers, position) for position in positions)]

    @contextmanager
    def _cut(self, side: Tower, tier: Tier) -> Iterator[None]:
        groups = [group for group in self._groups if side_of(group) == side]
        with (
            smaller(groups, keep_of(groups, self._layers, tier)),
            _stored_norms(getattr(self._model, side)),
        ):
            yield

    def _autocast(self, device: str) -> torch.autocast:
        return torch.autocast(device, self._precision, enabled=self._precision is not None)

    def _figures(self, task: "Task", tier: Tier) -> dict[str, Any]:
        keep = keep_of(self._groups, self._layers, tier)
        small = shrink(self._model, indices(keep))
        with smaller(self._groups, keep):
            dev = _evaluated(task)
        return {
            **tier.model_dump(),
            "parameters": {
                "image": parameter_count(small.image),
                "text": parameter_count(small.text),
            },
            "dev": {name: value for name, value in dev.items() if name != "score"},
        }


def smaller(groups: Sequence[Group], keep: Keep) -> Gates:
    """Compute as if units that ``keep`` leaves out were gone, until the end of a ``with``."""
    cut = [group for group in groups if not keep[group.name].all()]
    return Gates(cut, {group.name: keep[group.name].float() for group in cut})


@contextmanager
def _stored_norms(tower: nn.Module) -> Iterator[None]:
    """Batch norms use their stored statistics within, and do not change them."""
    norms = [one for one in tower.modules() if isinstance(one, _BatchNorm) and one.training]
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()


def _evaluated(task: "Task") -> dict[str, Any]:
    """Dev figures of the present weights, the same in all processes."""
    training = task.training
    task.eval()
    with torch.inference_mode():
        figures = from_first(lambda: dict(task.evaluate()))
    task.train(training)
    return figures


def _score(task: "Task") -> float:
    figures = _evaluated(task)
    if "score" not in figures:
        raise RecipeError("elastic.importance measures recall: give the recipe data.dev")
    return float(figures["score"])
