"""The search for the best shape of one tower within a number of milliseconds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from retrieval.compress.elastic.extract import Ordered
from retrieval.compress.fit.costs import Costs
from retrieval.compress.fit.evolve import Evolution, Genome, pareto_front
from retrieval.compress.fit.findings import Findings
from retrieval.compress.fit.fitness import InheritedRecall
from retrieval.compress.fit.predictor import Accuracy, Predictor, fit_predictor, judge_predictor
from retrieval.compress.fit.settings import Search
from retrieval.compress.fit.space import Space
from retrieval.compress.loop.reporter import Reporter
from retrieval.compress.prune.budget import readable
from retrieval.compress.prune.meter import Meter
from retrieval.compress.prune.select import Keep, indices
from retrieval.corpora.pairs import CaptionedPhoto
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.surgery.shrink import shrink
from retrieval.spec.errors import RecipeError

_SENTENCE = "two brown dogs are running through the snow"


@dataclass(frozen=True)
class Point:
    """A shape that was judged.

    Attributes:
        genome: Its choices.
        units: Units of each kind that they stand for.
        milliseconds: Measured, or else predicted.
        measured: Which of both.
        recall: Of the inherited weights, without training.
    """

    genome: Genome
    units: dict[str, int]
    milliseconds: float
    measured: bool
    recall: float


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found.

    Attributes:
        best: The shape of the best recall whose measured time is within the target.
        keep: Its units.
        front: The shapes that no other beats, by rising time.
        points: All shapes that were judged.
        accuracy: Of the predictor, on measurements that it was not fitted to.
    """

    best: Point
    keep: Keep
    front: tuple[Point, ...]
    points: tuple[Point, ...]
    accuracy: Accuracy

    @property
    def figures(self) -> dict[str, Any]:
        """JSON-compatible."""
        return {
            "best": vars(self.best),
            "predictor": vars(self.accuracy),
            "judged": len(self.points),
            "front": [vars(point) for point in self.front],
        }


@dataclass(frozen=True, eq=False)
class TowerSearch:
    """Everything that a search needs.

    Attributes:
        source: The ordered model whose prefixes are the candidates.
        space: The candidates.
        settings: Effort.
        tokenizer: Makes the sentence that is timed.
        meter: Measures.
        recall: Judges.
        findings: Remembers.
        reporter: Told of progress.
    """

    source: Ordered
    space: Space
    settings: Search
    tokenizer: Tokenizer
    meter: Meter
    recall: InheritedRecall
    findings: Findings
    reporter: Reporter

    def run(self, target: float) -> Found:
        """Measure, predict, evolve, and measure the best.

        Args:
            target: Milliseconds that the tower may take.

        Raises:
            RecipeError: Even the smallest shape takes longer.
        """
        sample = self._sample()
        times = self._measured(sample, target)
        costs = self._costs()
        features = np.stack([costs.features(self.space.keep(genome)) for genome in sample])
        # The first two are the ends of the space: those outside would be extrapolated.
        held_out = range(2, len(sample))[-max(1, round(self.settings.held_out * len(sample))) :]
        accuracy = judge_predictor(features, times, held_out)
        predictor = fit_predictor(features, times)
        predicted: dict[Genome, float] = {}

        def cost(genome: Genome) -> float:
            if genome not in predicted:
                predicted[genome] = _predict(predictor, costs, self.space.keep(genome))
            return predicted[genome]

        recalls = self._evolved(cost, target, sample)
        measured = dict(zip(sample, times, strict=True))
        best = self._winner(recalls, measured, target)
        points = [
            Point(
                genome,
                self.space.describe(genome),
                measured.get(genome, predicted.get(genome, 0.0)),
                genome in measured,
                recall,
            )
            for genome, recall in recalls.items()
        ]
        front = pareto_front([(point.milliseconds, point.recall) for point in points])
        return Found(
            best=next(point for point in points if point.genome == best),
            keep=self.space.keep(best),
            front=tuple(points[number] for number in front),
            points=tuple(points),
            accuracy=accuracy,
        )

    def _sample(self) -> list[Genome]:
        """Shapes to measure: the ends of the space and random ones, each once."""
        choices = self.space.choices
        random = np.random.default_rng(self.settings.seed)
        sample = [choices.smallest, choices.largest]
        wanted = min(self.settings.measured, choices.size)
        for _ in range(50 * wanted):
            if len(sample) >= wanted:
                break
            genome = choices.draw(random)
            if genome not in sample:
                sample.append(genome)
        if len(sample) < 4:
            raise RecipeError(
                f"the {self.space.side} tower has {len(sample)} shapes to choose from, too few "
                "for a search; use leanclip extract"
            )
        return sample

    def _measured(self, sample: Sequence[Genome], target: float) -> list[float]:
        self.reporter.begin(f"measuring shapes of the {self.space.side} tower", len(sample))
        times = []
        for number, genome in enumerate(sample):
            times.append(self._time(genome))
            self.reporter.advance(number + 1, note=f"{times[-1]:.2f} ms")
            if number == 0 and times[0] > target:
                raise RecipeError(
                    f"--ms {readable(target)} cannot be reached: the smallest shape of the "
                    f"{self.space.side} tower takes {times[0]:.3g} ms; raise it or start from a "
                    "smaller checkpoint"
                )
        return times

    def _time(self, genome: Genome) -> float:
        def measure() -> float:
            small = shrink(self.source.model, indices(self.space.keep(genome)))
            return self.meter.milliseconds(small, self.tokenizer, self.space.side)

        return self.findings.get("milliseconds", genome, measure)

    def _costs(self) -> Costs:
        model, side = self.source.model, self.space.side
        if side == "image":
            size = model.config.preprocessing.size
            given = torch.zeros(1, 3, size, size)
        else:
            # As exported: padded to the context length.
            given = torch.from_numpy(self.tokenizer.batch([_SENTENCE])).long()
        return Costs(getattr(model, side), side, self.space.groups, given)

    def _evolved(
        self, cost: Callable[[Genome], float], target: float, sample: Sequence[Genome]
    ) -> dict[Genome, float]:
        """Recall of the measured shapes, and of those that descend from the best of them."""
        settings = self.settings
        total = len(sample) + settings.population * settings.generations
        self.reporter.begin(f"judging shapes of the {self.space.side} tower", total)
        recalls: dict[Genome, float] = {}

        def fitness(genome: Genome) -> float:
            keep = self.space.keep(genome)
            recall = self.findings.get("recall", genome, lambda: self.recall(keep))
            recalls[genome] = recall
            best = max(recalls.values())
            self.reporter.advance(len(recalls), note=f"best inherited recall {best:.3f}")
            return recall

        for genome in sample:
            fitness(genome)
        low, high = settings.band
        Evolution(
            choices=self.space.choices,
            cost=cost,
            band=(low * target, high * target),
            fitness=fitness,
            population=settings.population,
            fresh=settings.fresh,
            mutation=settings.mutation,
        ).run(settings.generations, settings.seed, start=sample)
        self.reporter.advance(len(recalls), total=len(recalls))
        return recalls

    def _winner(
        self, recalls: dict[Genome, float], measured: dict[Genome, float], target: float
    ) -> Genome:
        """The best within the target; those that may be it are measured, the best first."""
        self.reporter.begin(f"measuring the best of the {self.space.side} tower", len(recalls))
        for number, genome in enumerate(
            sorted(recalls, key=lambda one: recalls[one], reverse=True), start=1
        ):
            if genome not in measured:
                measured[genome] = self._time(genome)
            self.reporter.advance(number, note=f"{measured[genome]:.2f} ms")
            if measured[genome] <= target:
                self.reporter.advance(number, total=number)
                return genome
        raise AssertionError("the smallest shape is within the target")


def _predict(predictor: Predictor, costs: Costs, keep: Keep) -> float:
    return float(predictor(costs.features(keep))[0])


def make_search(
    source: Ordered,
    space: Space,
    settings: Search,
    tokenizer: Tokenizer,
    pairs: Sequence[CaptionedPhoto],
    *,
    meter: Meter,
    findings: Findings,
    reporter: Reporter,
) -> TowerSearch:
    """A search whose candidates are judged by the first pairs.

    Args:
        source: The ordered model.
        space: Shapes of one of its towers.
        settings: Effort.
        tokenizer: The model's.
        pairs: Captioned photos of a dev split.
        meter: Measures milliseconds.
        findings: Remembers figures.
        reporter: Told of progress.
    """
    judged = pairs[: settings.photos]
    recall = InheritedRecall(source.model, space.side, space.groups, tokenizer, judged)
    return TowerSearch(source, space, settings, tokenizer, meter, recall, findings, reporter)
