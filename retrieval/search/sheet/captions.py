"""What stands below a photo of a contact sheet."""

from collections.abc import Sequence

from retrieval.search.hit import Hit
from retrieval.search.sheet.thumbnail import file_name
from retrieval.search.times import clock, day


def title_of(hit: Hit) -> str:
    """The photo's name; of a video also the moment that was found, as ``12:05``."""
    name = file_name(hit.path)
    return name if hit.moment_ms is None else f"{name} at {clock(hit.moment_ms)}"


def value_of(hit: Hit) -> str:
    """Its score, or the day when it was taken where photos were ordered by that."""
    if hit.score is not None:
        return f"{hit.score:.3f}"
    return "" if hit.taken_at is None else day(hit.taken_at)


def shares_of_best(hits: Sequence[Hit]) -> list[float | None]:
    """Length of each score's bar, 0 to 1, beside that of the best; None without a score."""
    best = max((hit.score for hit in hits if hit.score is not None), default=0.0)
    return [
        None if hit.score is None else max(0.0, hit.score / best) if best > 0 else 0.0
        for hit in hits
    ]
