"""Which layers of a wider, deeper tower stay, and what of each."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from retrieval.compress.start.scores import Samples, magnitude_scores, taylor_scores
from retrieval.compress.start.settings import Inherited
from retrieval.models.checkpoint import Checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.surgery.find import find_groups
from retrieval.models.surgery.shrink import shrink
from retrieval.models.surgery.units import Group
from retrieval.spec.errors import RecipeError
from retrieval.spec.model import Transformer
from retrieval.spec.tower import Tower


def narrowed(
    source: Checkpoint,
    side: Tower,
    wanted: Transformer,
    settings: Inherited,
    samples: Samples,
) -> DualEncoder:
    """The source with one of its transformer towers cut to a student's depth and widths.

    Args:
        source: Not changed, and itself the result where nothing has to go.
        side: Which tower.
        wanted: The student's blocks.
        settings: How to choose.
        samples: What to score importance on.

    Raises:
        RecipeError: The student's blocks are no part of the source's, or there is nothing to
            score importance on.
    """
    entry = f"start.{side}_layers"
    given: Transformer = getattr(source.config, side).blocks
    layers = picked_layers(settings.pick, len(wanted.heads), len(given.heads), entry)
    counts = _wanted_counts(side, wanted, given, layers, entry)
    groups = [group for group in _groups(source.model, side) if counts.get(group.name, 0)]
    narrower = [group for group in groups if counts[group.name] < group.units]
    kept = _chosen(source, side, narrower, counts, settings, samples)
    if len(layers) < len(given.heads):
        kept[f"{side}.layer"] = torch.tensor(layers) - 1
    return shrink(source.model, kept) if kept else source.model


def picked_layers(
    pick: str | Sequence[int], student: int, source: int, entry: str = "pick"
) -> list[int]:
    """The source's layer, counted from 1, for each of the student's, ascending.

    Args:
        pick: ``uniform`` is ``m N / M`` for the ``m``-th of ``M`` student layers out of
            ``N``, rounded to the nearest whole number and halves to the even one (TinyBERT).
        student: Its number of layers.
        source: Its number of layers.
        entry: Where in the recipe ``pick`` stands, for messages.

    Raises:
        RecipeError: The source has too few layers, or the list does not fit.
    """
    if student > source:
        raise RecipeError(
            f"{entry}: the student has {student} layers and the source {source}; "
            "a student cannot be deeper than what it inherits from"
        )
    if pick == "uniform":
        return [round(number * source / student) for number in range(1, student + 1)]
    if isinstance(pick, str):
        first = 1 if pick == "first" else source - student + 1
        return list(range(first, first + student))
    if len(pick) != student or max(pick) > source:
        raise RecipeError(
            f"{entry}.pick must list {student} layers from 1 to {source}, not {list(pick)}"
        )
    return list(pick)


def highest(scores: Tensor, count: int) -> Tensor:
    """Indices of the ``count`` highest scores, ascending; of equal ones the first."""
    return scores.argsort(descending=True, stable=True)[:count].sort().values


def _wanted_counts(
    side: Tower, wanted: Transformer, given: Transformer, layers: Sequence[int], entry: str
) -> dict[str, int]:
    """Units that shall stay, by group; the student must not have more of anything."""
    for name in ("head_dim", "activation"):
        of_student, of_source = getattr(wanted, name), getattr(given, name)
        if of_student != of_source:
            raise RecipeError(
                f"{entry}: student.{side}.blocks.{name} is {of_student} and the source's "
                f"{of_source}; inherited layers need the same"
            )
    counts = {f"{side}.hidden": wanted.width}
    limits = {f"{side}.hidden": given.width}
    for number, layer in enumerate(layers):
        for kind, field in (("head", "heads"), ("neuron", "neurons")):
            name = f"{side}.blocks.{layer - 1}.{kind}"
            counts[name] = getattr(wanted, field)[number]
            limits[name] = getattr(given, field)[layer - 1]
    for name, count in counts.items():
        if count > limits[name]:
            raise RecipeError(
                f"{entry}: the student would keep {count} units of the source's {name}, which "
                f"has {limits[name]}; make student.{side}.blocks no larger than the source"
            )
    return counts


def _groups(model: DualEncoder, side: Tower) -> list[Group]:
    return [
        *find_groups(model, "head", side),
        *find_groups(model, "neuron", side),
        *find_groups(model, "hidden", side),
    ]


def _chosen(
    source: Checkpoint,
    side: Tower,
    groups: Sequence[Group],
    counts: Mapping[str, int],
    settings: Inherited,
    samples: Samples,
) -> dict[str, Tensor]:
    if not groups:
        return {}
    if settings.width == "leading":
        return {group.name: torch.arange(counts[group.name]) for group in groups}
    if settings.width == "random":
        rng = torch.Generator().manual_seed(samples.seed)
        scores = {group.name: torch.rand(group.units, generator=rng) for group in groups}
    elif settings.criterion == "magnitude":
        scores = magnitude_scores(source.model, groups)
    else:
        embeddings = samples.embedded(source, side, settings.samples)
        scores = taylor_scores(source.model, groups, embeddings)
    return {name: highest(score, counts[name]) for name, score in scores.items()}
