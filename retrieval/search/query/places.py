"""Where a photo must have been taken: around a point, another photo, or a place by its name."""

import math
import re
from pathlib import Path

from retrieval.catalog.filters import GeoBox
from retrieval.search.query.words import excerpt
from retrieval.spec.errors import PhotoError, QueryError
from retrieval.vision.decode import is_known_name
from retrieval.vision.details import read_details

NEAR_KM = 10.0
"""How far ``near:`` reaches when it does not say."""

_EARTH_RADIUS_KM = 6371.0
_HALFWAY_KM = math.pi * _EARTH_RADIUS_KM
_NUMBER = r"\s*([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)\s*"
_POINT = re.compile(rf"{_NUMBER},{_NUMBER}(?:,{_NUMBER}(?:km)?\s*)?", re.ASCII)
_RADIUS = re.compile(rf"(.*?),{_NUMBER}(?:km)?\s*", re.ASCII | re.DOTALL)


def box_near(value: str, *, files: bool) -> GeoBox:
    """The box that a ``near:`` means.

    Args:
        value: ``LATITUDE,LONGITUDE``, the path of a photo that knows where it was taken, or
            the name of a place; behind each may follow a comma and a radius in kilometres.
        files: Whether it may name a photo of this machine.

    Raises:
        QueryError: It is none of these.
        PhotoError: The photo cannot be read, or does not say where it was taken.
        MissingExtraError: A name needs a gazetteer that is not installed.
    """
    typed = f"near:{excerpt(value)}"
    if found := _POINT.fullmatch(value):
        latitude, longitude = float(found[1]), float(found[2])
        if abs(latitude) > 90 or abs(longitude) > 180:
            raise QueryError(
                f"{typed} is not on Earth; write latitude (-90 to 90), longitude (-180 to 180), "
                "as in near:59.91,10.75"
            )
        return box_around(latitude, longitude, _radius(value, found[3]))
    name, radius = value.strip(), NEAR_KM
    if found := _RADIUS.fullmatch(value):
        name, radius = found[1].strip(), _radius(value, found[2])
    if is_known_name(Path(name)):
        if not files:
            raise QueryError(f"{typed}: photos cannot be named here; write coordinates")
        return box_around(*_place_of(Path(name)), radius)
    if not re.search(r"[^\W\d_]", name) or re.search(r"\d", name):
        raise QueryError(
            f"{typed} cannot be understood; write near:59.91,10.75 or near:59.91,10.75,25 "
            "(kilometres), the path of a photo, or the name of a place"
        )
    from retrieval.search.query.gazetteer import find_place  # seldom used, and a big file

    return box_around(*find_place(name), radius)


def box_around(latitude: float, longitude: float, kilometres: float) -> GeoBox:
    """The smallest box that holds every point within a distance of a place.

    Args:
        latitude: Degrees, -90 to 90.
        longitude: Degrees, -180 to 180.
        kilometres: Along the surface of the globe.
    """
    angle = kilometres / _EARTH_RADIUS_KM
    south = latitude - math.degrees(angle)
    north = latitude + math.degrees(angle)
    if south <= -90 or north >= 90:
        # A circle around a pole touches every longitude.
        return GeoBox(max(south, -90.0), -180.0, min(north, 90.0), 180.0)
    # Where the circle reaches farthest east lies a little nearer to the pole than its middle.
    reach = min(1.0, math.sin(angle) / math.cos(math.radians(latitude)))
    width = math.degrees(math.asin(reach))
    return GeoBox(south, _wrapped(longitude - width), north, _wrapped(longitude + width))


def _wrapped(longitude: float) -> float:
    return (longitude + 180.0) % 360.0 - 180.0


def _radius(value: str, text: str | None) -> float:
    if text is None:
        return NEAR_KM
    radius = float(text)
    if not 0 < radius <= _HALFWAY_KM:
        raise QueryError(
            f"near:{excerpt(value)}: {excerpt(text)} km is no radius; write one above 0 and up "
            f"to {_HALFWAY_KM:.0f}"
        )
    return radius


def _place_of(photo: Path) -> tuple[float, float]:
    typed = f"near:{excerpt(str(photo))}"
    try:
        details = read_details(photo.expanduser())
    except (OSError, RuntimeError) as error:
        raise PhotoError(f"{typed}: there is no such photo") from error
    if details.latitude is None or details.longitude is None:
        raise PhotoError(
            f"{typed}: the photo does not say where it was taken; write coordinates, as in "
            "near:59.91,10.75"
        )
    return details.latitude, details.longitude
