"""Evolution over strings of choices within a band of cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Genome = tuple[int, ...]
"""For each gene the number of its choice, from 0, the cheapest."""

_REPAIRS = 400


@dataclass(frozen=True)
class Choices:
    """How many choices each gene has; a higher one never costs less."""

    counts: tuple[int, ...]

    @property
    def smallest(self) -> Genome:
        """The cheapest choice everywhere."""
        return (0,) * len(self.counts)

    @property
    def largest(self) -> Genome:
        """The dearest choice everywhere."""
        return tuple(count - 1 for count in self.counts)

    @property
    def size(self) -> int:
        """Number of genomes."""
        return int(np.prod([float(count) for count in self.counts]))

    def draw(self, random: np.random.Generator) -> Genome:
        """A random genome: around a random level, so that small and large ones are drawn.

        Genes drawn alone would make nearly all genomes of many genes middle-sized.
        """
        level = random.uniform()
        places = np.clip(level + random.normal(scale=0.25, size=len(self.counts)), 0, 1)
        return tuple(
            min(int(place * count), count - 1)
            for place, count in zip(places, self.counts, strict=True)
        )

    def mutate(self, genome: Genome, rate: float, random: np.random.Generator) -> Genome:
        """One gene, and each other with a chance of ``rate``: to a neighbour or anew."""
        changes = random.uniform(size=len(genome)) < rate
        changes[random.integers(len(genome))] = True
        return tuple(
            self._changed(gene, count, random) if changed else gene
            for gene, count, changed in zip(genome, self.counts, changes, strict=True)
        )

    def _changed(self, gene: int, count: int, random: np.random.Generator) -> int:
        if random.uniform() < 0.5:
            return int(random.integers(count))
        return min(max(gene + int(random.choice([-1, 1])), 0), count - 1)


def cross(one: Genome, other: Genome, random: np.random.Generator) -> Genome:
    """Each gene from either parent."""
    first = random.uniform(size=len(one)) < 0.5
    return tuple(a if own else b for a, b, own in zip(one, other, first, strict=True))


def repair(
    genome: Genome,
    choices: Choices,
    cost: Callable[[Genome], float],
    band: tuple[float, float],
    random: np.random.Generator,
) -> Genome | None:
    """Make random genes cheaper or dearer until the cost lies in a band; None in vain."""
    for _ in range(_REPAIRS):
        found = cost(genome)
        if band[0] <= found <= band[1]:
            return genome
        step = 1 if found < band[0] else -1
        movable = [
            place
            for place, (gene, count) in enumerate(zip(genome, choices.counts, strict=True))
            if 0 <= gene + step < count
        ]
        if not movable:
            return None
        place = movable[int(random.integers(len(movable)))]
        genome = (*genome[:place], genome[place] + step, *genome[place + 1 :])
    return None


@dataclass(frozen=True, kw_only=True)
class Evolution:
    """A search by generations.

    Attributes:
        choices: What there is to choose from.
        cost: Of a genome; cheap to ask.
        band: Costs that candidates may have.
        fitness: Of a genome; asked once for each.
        population: New candidates in each generation.
        fresh: Share of them that are drawn anew.
        mutation: Chance of each gene of a descendant to change.
    """

    choices: Choices
    cost: Callable[[Genome], float]
    band: tuple[float, float]
    fitness: Callable[[Genome], float]
    population: int
    fresh: float
    mutation: float

    def run(
        self, generations: int, seed: int, *, start: Sequence[Genome] = ()
    ) -> dict[Genome, float]:
        """Search.

        Parents are drawn with a chance by rank among the best, half of the descendants have
        two; what a change puts outside the band is repaired.

        Args:
            generations: How many.
            seed: The same seed gives the same search.
            start: Candidates of the first generation, as far as they lie in the band.

        Returns:
            Every candidate that was judged and its fitness, in the order of the search;
            empty when no genome lies in the band.
        """
        random = np.random.default_rng(seed)
        known: dict[Genome, float] = {}
        wanted = [genome for genome in start if self._affordable(genome)]
        for _ in range(generations):
            for genome in self._generation(wanted, known, random):
                known[genome] = self.fitness(genome)
            wanted = []
        return known

    def _affordable(self, genome: Genome) -> bool:
        return self.band[0] <= self.cost(genome) <= self.band[1]

    def _generation(
        self, wanted: list[Genome], known: dict[Genome, float], random: np.random.Generator
    ) -> list[Genome]:
        new = list(dict.fromkeys(wanted))[: self.population]
        for _ in range(20 * self.population):
            if len(new) >= self.population:
                break
            is_fresh = not known or random.uniform() < self.fresh
            drawn = self.choices.draw(random) if is_fresh else self._descendant(known, random)
            genome = repair(drawn, self.choices, self.cost, self.band, random)
            if genome is not None and genome not in known and genome not in new:
                new.append(genome)
        return new

    def _descendant(self, known: dict[Genome, float], random: np.random.Generator) -> Genome:
        best = sorted(known, key=lambda genome: known[genome], reverse=True)[: self.population]
        chances = np.arange(len(best), 0, -1, dtype=float)
        chances /= chances.sum()
        one, other = random.choice(len(best), size=2, p=chances).tolist()
        child = best[one]
        if random.uniform() < 0.5:
            child = cross(child, best[other], random)
        return self.choices.mutate(child, self.mutation, random)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which points (cost, gain) no other beats in one of the two without losing in the other.

    Returns:
        Their numbers, by rising cost; of equal points the first.
    """
    order = sorted(range(len(points)), key=lambda number: (points[number][0], -points[number][1]))
    front: list[int] = []
    for number in order:
        if not front or points[number][1] > points[front[-1]][1]:
            front.append(number)
    return front
