"""The shapes of one tower that a search chooses from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from retrieval.compress.elastic.extract import Ordered
from retrieval.compress.elastic.nesting import keep_of, side_of
from retrieval.compress.elastic.tiers import Tier
from retrieval.compress.fit.evolve import Choices, Genome
from retrieval.compress.fit.settings import Search
from retrieval.compress.prune.select import Keep
from retrieval.models.surgery.units import Granularity, Group
from retrieval.spec.errors import RecipeError
from retrieval.spec.tower import Tower


@dataclass(frozen=True, eq=False)
class Gene:
    """One choice, for one group or several alike.

    Attributes:
        name: For people.
        groups: What it decides.
        counts: Of the first of them, the number of units of each choice; ascending.
        keeps: For each choice, what stays.
    """

    name: str
    groups: tuple[Group, ...]
    counts: tuple[int, ...]
    keeps: tuple[Keep, ...]


class Space:
    """Shapes of one tower, all of them prefixes of an ordered model.

    Args:
        source: The model.
        side: Which tower.
        settings: Which shapes.

    Raises:
        RecipeError: There is nothing to choose.
    """

    def __init__(self, source: Ordered, side: Tower, settings: Search) -> None:
        groups = [group for group in source.groups if side_of(group) == side]
        self.side: Tower = side
        self.groups = groups
        self.genes = tuple(
            gene
            for name, members in _shared(groups, settings)
            if len((gene := _gene(name, members, source, settings)).counts) > 1
        )
        if not self.genes:
            raise RecipeError(f"the {side} tower has no units to choose from; name other widths")

    @cached_property
    def choices(self) -> Choices:
        """How many choices each gene has."""
        return Choices(tuple(len(gene.counts) for gene in self.genes))

    def keep(self, genome: Genome) -> Keep:
        """The units of a shape; groups that no gene decides stay whole."""
        keep = {group.name: torch.ones(group.units, dtype=torch.bool) for group in self.groups}
        for gene, choice in zip(self.genes, genome, strict=True):
            keep |= gene.keeps[choice]
        return keep

    def describe(self, genome: Genome) -> dict[str, int]:
        """Units that each gene chooses, by its name."""
        return {
            gene.name: gene.counts[choice] for gene, choice in zip(self.genes, genome, strict=True)
        }


def _shared(groups: Sequence[Group], settings: Search) -> list[tuple[str, tuple[Group, ...]]]:
    """Names of genes and the groups that each decides."""
    found: list[tuple[str, tuple[Group, ...]]] = []
    kinds: tuple[Granularity, ...] = ("layer", "head", "neuron", "channel")
    for kind in kinds:
        members = [group for group in groups if group.granularity == kind]
        if not members or (kind == "layer" and not settings.layers):
            continue
        per_layer = settings.per_layer
        alone = kind == "channel" if per_layer is None else per_layer
        if alone or kind == "layer":
            found += [(_short(group.name), (group,)) for group in members]
        else:
            found.append((f"{kind}s", tuple(members)))
    return found


def _short(name: str) -> str:
    """``layers``, ``heads 0``, ``channels 0.3``."""
    if name.endswith(".layer"):
        return "layers"
    if ".channel." in name:
        _, _, backbone, _, number = name.split(".")
        return f"channels {backbone}.{number}"
    _, _, number, kind = name.split(".")
    return f"{kind}s {number}"


def _gene(name: str, groups: tuple[Group, ...], source: Ordered, settings: Search) -> Gene:
    is_layer = groups[0].granularity == "layer"
    units = groups[0].units
    shares = (
        [layers / units for layers in range(1, units + 1)]
        if is_layer
        else sorted({*settings.widths, 1.0})
    )
    keeps: list[Keep] = []
    counts: list[int] = []
    for share in shares:
        tier = Tier(depth=share) if is_layer else Tier(width=share)
        keep = keep_of(groups, source.layers, tier)
        # Shares that come to the same shape, with few units, are one choice.
        if not keeps or any((keep[one] != keeps[-1][one]).any() for one in keep):
            keeps.append(keep)
            counts.append(int(keep[groups[0].name].sum()))
    return Gene(name, groups, tuple(counts), tuple(keeps))
