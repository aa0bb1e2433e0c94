"""Evolution, its band of cost, and the front of what no other beats."""

from itertools import product

import numpy as np
import pytest

from retrieval.compress.fit.evolve import Choices, Evolution, cross, pareto_front, repair

COUNTS = (4, 7, 7, 5)
VALUE = np.array([3.0, 1.0, 2.0, 0.5])
COST = np.array([4.0, 2.0, 1.0, 3.0])


def cost(genome: tuple[int, ...]) -> float:
    return float(COST @ genome)


def value(genome: tuple[int, ...]) -> float:
    return float(VALUE @ np.sqrt(genome))


def evolution(**changes: object) -> Evolution:
    settings = {
        "choices": Choices(COUNTS),
        "cost": cost,
        "band": (10.0, 20.0),
        "fitness": value,
        "population": 16,
        "fresh": 0.5,
        "mutation": 0.25,
    }
    return Evolution(**{**settings, **changes})


@pytest.mark.parametrize("seed", range(3))
def test_the_best_genome_of_a_known_function_is_found(seed: int) -> None:
    everything = product(*(range(count) for count in COUNTS))
    affordable = [genome for genome in everything if 10 <= cost(genome) <= 20]
    best = max(map(value, affordable))
    found = evolution().run(12, seed)
    assert max(found.values()) == pytest.approx(best)
    assert len(found) < len(affordable) / 2
    assert all(10 <= cost(genome) <= 20 for genome in found)


def test_each_genome_is_judged_once_and_a_seed_gives_the_same_search() -> None:
    asked: list[tuple[int, ...]] = []

    def fitness(genome: tuple[int, ...]) -> float:
        asked.append(genome)
        return value(genome)

    found = evolution(fitness=fitness).run(5, 1)
    assert asked == list(found)
    assert len(set(asked)) == len(asked)
    assert list(evolution().run(5, 1)) == asked
    assert list(evolution().run(5, 2)) != asked


def test_given_candidates_come_first_if_they_are_affordable() -> None:
    found = evolution().run(1, 0, start=[(3, 6, 6, 4), (1, 2, 4, 1)])
    assert next(iter(found)) == (1, 2, 4, 1)
    assert (3, 6, 6, 4) not in found


def test_a_band_that_nothing_lies_in_gives_nothing() -> None:
    assert evolution(band=(100.0, 101.0)).run(2, 0) == {}


def test_repair_changes_genes_until_the_cost_fits() -> None:
    random = np.random.default_rng(0)
    choices = Choices(COUNTS)
    for start in (choices.smallest, choices.largest, (0, 6, 0, 4)):
        fitting = repair(start, choices, cost, (14.0, 16.0), random)
        assert fitting is not None
        assert 14 <= cost(fitting) <= 16
    assert repair((1, 2, 4, 1), choices, cost, (10.0, 20.0), random) == (1, 2, 4, 1)


def test_drawn_genomes_are_small_middling_and_large() -> None:
    random = np.random.default_rng(0)
    choices = Choices((7,) * 20)
    means = [np.mean(choices.draw(random)) / 6 for _ in range(300)]
    assert min(means) < 0.2
    assert max(means) > 0.8
    assert all(0 <= gene < 7 for gene in choices.draw(random))


def test_children_have_every_gene_from_a_parent() -> None:
    child = cross((0,) * 40, (1,) * 40, np.random.default_rng(0))
    assert set(child) == {0, 1}


def test_the_front_equals_that_of_brute_force() -> None:
    random = np.random.default_rng(4)
    points = [(float(a), float(b)) for a, b in random.integers(0, 12, (60, 2))]
    beaten = {
        one
        for one in points
        for other in points
        if other[0] <= one[0] and other[1] >= one[1] and other != one
    }
    expected = sorted(set(points) - beaten)
    assert [points[number] for number in pareto_front(points)] == expected
    assert pareto_front([]) == []
    assert pareto_front([(1.0, 2.0), (1.0, 2.0)]) == [0]
