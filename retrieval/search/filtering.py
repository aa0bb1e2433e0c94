"""Filters as users write them, with nothing to look for beside them."""

from retrieval.catalog.filters import PhotoFilter
from retrieval.search.query.parse import parse_query
from retrieval.search.query.words import excerpt
from retrieval.spec.errors import QueryError


def parse_filter(text: str) -> PhotoFilter:
    """What ``after:2023 in:holiday`` asks of photos; an empty text asks nothing.

    Args:
        text: Filters of the language that `parse_query` takes.

    Raises:
        QueryError: A filter cannot be understood, or there is more than filters.
        PhotoError: A folder or a photo that a filter names is not there.
    """
    if not text.strip():
        return PhotoFilter()
    query = parse_query(text)
    if query.terms:
        raise QueryError(
            f"the filter {excerpt(text)} holds more than filters: leave out words and photos, as "
            "in after:2023 in:holiday type:png"
        )
    return query.filter
