"""Choosing an index: what each kind finds of what exact search finds, and how fast."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import faiss
import numpy as np

from retrieval.index.approximate import ApproximateIndex
from retrieval.index.exact import ExactIndex
from retrieval.index.kinds import KINDS, Kind
from retrieval.index.protocol import Matches, Queries, VectorIndex, Vectors
from retrieval.index.store import Progress, build_index

TOP = 10
_WARM_UP = 5


@dataclass(frozen=True, slots=True)
class Budget:
    """What a search may cost, and how much of the truth it must find."""

    milliseconds: float = 20.0
    """At the 95th percentile, one query at a time."""
    bytes: float = 2e9
    """Memory of the index."""
    recall: float = 0.95
    """Least share of the exact top 10."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One index with one setting, measured."""

    kind: Kind | Literal["exact"]
    effort: int
    """0 for exact search, which has no setting."""
    recall: float
    """Share of the exact top 10 that was found, mean over the queries."""
    p50_ms: float
    p95_ms: float
    bytes: int
    build_seconds: float

    def fits(self, budget: Budget) -> bool:
        """Whether the trial keeps within time and memory and finds enough."""
        return (
            self.p95_ms <= budget.milliseconds
            and self.bytes <= budget.bytes
            and self.recall >= budget.recall
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trial with the index that was tried; None for exact search."""

    trial: Trial
    built: faiss.Index | None


def try_indexes(
    vectors: Vectors,
    queries: Queries,
    kinds: Sequence[Kind],
    progress: Callable[[Kind], Progress] | None = None,
) -> Iterator[Candidate]:
    """Measure exact search, then every kind with every effort, one after the other.

    Only one approximate index is in memory at a time; take what is needed of a candidate
    before asking for the next kind.

    Args:
        vectors: ``(rows, dim)``.
        queries: ``(queries, dim)`` like those that people ask: sentences, not only photos,
            since sentences lie elsewhere in the space.
        kinds: Which to build.
        progress: Gives, for a kind, what is told of its building.
    """
    exact = ExactIndex(vectors)
    truth = exact.search(queries, TOP)
    yield Candidate(_measured("exact", 0, exact, queries, truth, vectors.nbytes, 0.0), None)
    del exact
    for kind in kinds:
        started = time.perf_counter()
        built = build_index(vectors, kind, None if progress is None else progress(kind))
        seconds = time.perf_counter() - started
        size = int(KINDS[kind].bytes_per_vector(vectors.shape[1]) * len(vectors))
        for effort in KINDS[kind].efforts:
            index = ApproximateIndex(built, KINDS[kind], effort, vectors)
            trial = _measured(kind, effort, index, queries, truth, size, seconds)
            yield Candidate(trial, built)


def best_trial(trials: Sequence[Trial], budget: Budget) -> Trial | None:
    """Exact if it fits the budget, else the fastest that does; None if none does."""
    fitting = [trial for trial in trials if trial.fits(budget)]
    exact = [trial for trial in fitting if trial.kind == "exact"]
    return next(iter(exact), min(fitting, key=lambda trial: trial.p95_ms, default=None))


def recall_of(found: Matches, truth: Matches) -> float:
    """Share of the true rows that were found, mean over queries."""
    shares = [
        len(np.intersect1d(some, true)) / len(true)
        for some, true in zip(found.rows, truth.rows, strict=True)
    ]
    return float(np.mean(shares))


def _measured(
    kind: Kind | Literal["exact"],
    effort: int,
    index: VectorIndex,
    queries: Queries,
    truth: Matches,
    size: int,
    build_seconds: float,
) -> Trial:
    index.search(queries[:_WARM_UP], TOP)
    rows, times = [], []
    for query in queries:
        started = time.perf_counter()
        rows.append(index.search(query[np.newaxis], TOP).rows[0])
        times.append((time.perf_counter() - started) * 1e3)
    recall = recall_of(Matches(np.stack(rows), truth.scores), truth)
    p50, p95 = np.percentile(times, [50, 95])
    return Trial(kind, effort, recall, float(p50), float(p95), size, build_seconds)
