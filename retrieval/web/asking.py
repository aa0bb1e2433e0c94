"""What a visitor asks for, and the query that it means."""

from calendar import timegm
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path

from retrieval.catalog.filters import PhotoFilter
from retrieval.search.query.parse import parse_query
from retrieval.search.query.parts import Example, Query, Term


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, as it can be asked again for its next page."""

    query: Query
    like: int | None = None
    """The photo of the catalog that the query is an example of; left out of the answer."""

    @property
    def is_browsing(self) -> bool:
        """Whether photos are only filtered, and shown by date."""
        return not self.query.terms


def in_words(text: str, chosen: PhotoFilter) -> Asked:
    """The question that a visitor typed, with the filters that were chosen beside it.

    What looks like a path is taken as words: nothing that is typed reaches the file system.

    Raises:
        QueryError: The words cannot be understood.
    """
    if not text.strip():
        return Asked(Query(filter=chosen))
    query = parse_query(text, files=False)
    return Asked(replace(query, filter=both(query.filter, chosen)))


def by_example(path: Path, chosen: PhotoFilter, *, like: int | None = None) -> Asked:
    """The question for photos like one: of the catalog, or a copy of an uploaded one."""
    return Asked(Query((Term(Example(path)),), chosen), like)


def both(typed: PhotoFilter, chosen: PhotoFilter) -> PhotoFilter:
    """Dates must fulfil both; of everything else, what was chosen counts before what was typed."""
    asked = {
        one.name: getattr(chosen, one.name) for one in fields(chosen) if getattr(chosen, one.name)
    }
    after = [one for one in (typed.after, chosen.after) if one is not None]
    before = [one for one in (typed.before, chosen.before) if one is not None]
    asked |= {"after": max(after, default=None), "before": min(before, default=None)}
    return replace(typed, **asked)


def midnight(day: date) -> int:
    """The first second of a day, on the wall clock that the catalog keeps."""
    return timegm(day.timetuple())
