"""Finding the index that suits a library: exact as long as that is fast and small enough."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from retrieval.encode.batches import encode_sentences
from retrieval.encode.protocol import Encoder
from retrieval.index.kinds import KINDS, Kind
from retrieval.index.protocol import Vectors
from retrieval.index.store import IndexStore, Progress
from retrieval.index.tuning import Budget, Trial, best_trial, try_indexes
from retrieval.search.describe import everyday_labels
from retrieval.spec.defaults import LABEL_TEMPLATE
from retrieval.spec.errors import QueryError

QUERIES = 200


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was tried, and what the library searches with from now on."""

    trials: tuple[Trial, ...]
    chosen: Trial | None
    """None when nothing kept within the budget; what was used before stays."""


def tune(
    vectors: Vectors,
    store: IndexStore,
    encoder: Encoder,
    budget: Budget,
    *,
    kinds: Sequence[Kind] | None = None,
    sentences: Sequence[str] | None = None,
    progress: Callable[[Kind], Progress] | None = None,
) -> Tuning:
    """Measure exact search, then approximate ones until one keeps within a budget; keep it.

    Args:
        vectors: All vectors of the library ``(rows, dim)``.
        store: Where the index of these vectors is kept.
        encoder: Embeds the sentences that are searched for.
        budget: What a search may cost, and how much it must find.
        kinds: Which to try, in this order; all by default.
        sentences: What to search for; by default everyday things, a photo of each.
        progress: Gives, for a kind, what is told of its building.

    Raises:
        QueryError: There is nothing to search for.
        OSError: The index cannot be written; the one in use stays.
    """
    if sentences is None:
        sentences = [LABEL_TEMPLATE.format(label) for label in everyday_labels()]
    if not sentences:
        raise QueryError("there are no sentences to measure with; give at least one")
    queries = encode_sentences(encoder, list(sentences)[:QUERIES])
    allowed = [kind for kind in kinds or KINDS if _can_be(kind, vectors, budget)]
    trials: list[Trial] = []
    for candidate in try_indexes(vectors, queries, allowed, progress):
        trial = candidate.trial
        trials.append(trial)
        last_of_kind = trial.kind == "exact" or trial.effort == KINDS[trial.kind].efforts[-1]
        chosen = best_trial(trials, budget) if last_of_kind else None
        if chosen is None:
            continue
        if chosen.kind == "exact" or candidate.built is None:
            store.drop()
        else:
            store.keep(candidate.built, chosen.kind, chosen.effort, vectors)
        return Tuning(tuple(trials), chosen)
    return Tuning(tuple(trials), None)


def _can_be(kind: Kind, vectors: Vectors, budget: Budget) -> bool:
    rows, dim = (int(side) for side in vectors.shape)
    size = KINDS[kind].bytes_per_vector(dim) * rows
    return rows >= KINDS[kind].least_rows and size <= budget.bytes
