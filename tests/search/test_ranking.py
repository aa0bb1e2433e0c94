from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from retrieval.catalog.catalog import CATALOG_FILE, Catalog
from retrieval.catalog.filters import PhotoFilter
from retrieval.catalog.records import PhotoDetails, PhotoFile
from retrieval.index.exact import ExactIndex
from retrieval.search.duplicates import find_duplicates
from retrieval.search.hit import Hit, Hits
from retrieval.search.likeness import likeness_of
from retrieval.search.ranking import View, nearest_photos, photos_by_date
from retrieval.spec.errors import PhotoError

Angles = dict[str, Sequence[float]]
Make = Callable[..., View]
EAST = np.array([[1.0, 0.0]], np.float32)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """A view of photos and videos by the angles, in degrees, at which their vectors point."""
    catalog = Catalog.open(tmp_path / CATALOG_FILE)
    space = catalog.ensure_space("angles", "angles", None, 2)

    def make_view(angles: Angles, contents: dict[str, bytes] | None = None) -> View:
        vectors = []
        with catalog.writing():
            for day, (name, directions) in enumerate(angles.items()):
                path = tmp_path / name
                path.write_bytes(b"x" * (day + 1))
                file = PhotoFile(path, day + 1, path.stat().st_mtime_ns)
                details = PhotoDetails((contents or {}).get(name), taken_at=day * 86_400)
                video = name.endswith(".mp4")
                moments = [1000 * i if video else None for i in range(len(directions))]
                catalog.record_photo(file, space, len(vectors), details=details, moments=moments)
                vectors += [(np.cos(a), np.sin(a)) for a in np.radians(directions)]
        rows = np.array(vectors, np.float16)
        return View(catalog, space, ExactIndex(rows), rows, np.ones(len(rows), np.bool_))

    with catalog:
        yield make_view


def names(hits: Hits) -> list[str]:
    return [hit.path.name for hit in hits]


def test_a_video_shows_once_with_its_best_moment(make: Make) -> None:
    view = make({"far.jpg": [80], "film.mp4": [5, 2, 1, 3, 90], "near.jpg": [10]})
    hits = nearest_photos(view, EAST, 3)
    assert names(hits) == ["film.mp4", "near.jpg", "far.jpg"]
    assert [hit.moment_ms for hit in hits] == [2000, None, None]
    assert names(nearest_photos(view, EAST, 1)) == ["film.mp4"]


def test_many_moments_do_not_hide_other_photos(make: Make) -> None:
    view = make({"film.mp4": np.linspace(0, 5, 100), **{f"{i}.jpg": [10 + i] for i in range(9)}})
    assert names(nearest_photos(view, EAST, 5)) == ["film.mp4", *(f"{i}.jpg" for i in range(4))]


def test_deleted_photos_make_room_for_others(make: Make, tmp_path: Path) -> None:
    view = make({f"{i}.jpg": [i] for i in range(10)})
    for i in range(6):
        (tmp_path / f"{i}.jpg").unlink()
    assert names(nearest_photos(view, EAST, 3)) == ["6.jpg", "7.jpg", "8.jpg"]
    assert names(photos_by_date([], view.catalog, view.space, 3)) == ["9.jpg", "8.jpg", "7.jpg"]
    assert len(photos_by_date([], view.catalog, view.space, 30)) == 4


def test_a_cut_is_a_share_of_the_way_from_the_mean_to_the_best(make: Make) -> None:
    angles = {f"{i}.jpg": [angle] for i, angle in enumerate([0, 20, 40, 60, 90, 120])}
    view = make(angles)
    scores = np.cos(np.radians([0, 20, 40, 60, 90, 120]))
    for cut in (0.0, 0.3, 0.7, 0.9, 1.0):
        kept = scores >= scores.mean() + cut * (1 - scores.mean()) - 1e-3
        assert len(nearest_photos(view, EAST, 9, cut)) == kept.sum(), cut
    view.allowed[2:] = False
    assert len(nearest_photos(view, EAST, 9, 0.1)) == 1


def test_the_cut_never_leaves_out_the_best(make: Make) -> None:
    view = make({"a.jpg": [170], "b.jpg": [170], "c.jpg": [170]})
    assert len(nearest_photos(view, EAST, 9, 1.0)) == 3


def test_dates_follow_the_filters(make: Make) -> None:
    view = make({"a.jpg": [0], "film.mp4": [1, 2, 3], "b.png": [4]})
    wanted = PhotoFilter(after=86_400)
    hits = photos_by_date([wanted], view.catalog, view.space, 9)
    assert [(hit.path.name, hit.score, hit.taken_at) for hit in hits] == [
        ("b.png", None, 2 * 86_400),
        ("film.mp4", None, 86_400),
    ]


def test_what_looks_like_a_video_at_any_moment_is_like_it(make: Make, tmp_path: Path) -> None:
    view = make({"film.mp4": [0, 90], "a.jpg": [88], "b.jpg": [45], "c.jpg": [-3]})
    catalog, space = view.catalog, view.space
    likeness = likeness_of(tmp_path / "film.mp4", catalog, space, view.vectors, None)
    assert likeness.own_rows.tolist() == [0, 1]
    view.allowed[likeness.own_rows] = False
    hits = nearest_photos(view, likeness.queries, 3)
    assert names(hits) == ["a.jpg", "c.jpg", "b.jpg"]
    assert hits[0].score == pytest.approx(np.cos(np.radians(2)), abs=1e-3)


def test_copies_are_not_like_their_original(make: Make) -> None:
    contents = {"a.jpg": b"same", "copy.jpg": b"same"}
    view = make({"a.jpg": [0], "copy.jpg": [0], "b.jpg": [1]}, contents)
    [photo] = photos_by_date([PhotoFilter(before=1)], view.catalog, view.space, 1)
    likeness = likeness_of(photo.photo_id, view.catalog, view.space, view.vectors, None)
    assert set(likeness.own_rows.tolist()) == {0, 1}
    with pytest.raises(PhotoError, match="no photo with the number 999"):
        likeness_of(999, view.catalog, view.space, view.vectors, None)
    with pytest.raises(PhotoError, match="no such photo"):
        likeness_of(Path("gone.jpg"), view.catalog, view.space, view.vectors, None)


def test_exact_copies_and_near_ones_are_kept_apart(make: Make, tmp_path: Path) -> None:
    contents = dict.fromkeys(("a.jpg", "copy.jpg", "gone.jpg"), b"same")
    angles: Angles = {"a.jpg": [0], "copy.jpg": [0], "gone.jpg": [0], "almost.jpg": [1]}
    angles |= {"film.mp4": [0, 1], "other.jpg": [50], "c.jpg": [90], "d.jpg": [92], "e.jpg": [94]}
    view = make(angles, contents)
    (tmp_path / "gone.jpg").unlink()
    cosine = float(np.cos(np.radians(2.5)))
    found = find_duplicates(view.catalog, view.space, view.vectors, view.allowed, threshold=cosine)
    # Of equal pixels, the larger file comes first.
    assert [names(group) for group in found.exact] == [["copy.jpg", "a.jpg"]]
    assert [names(group) for group in found.near] == [
        ["almost.jpg", "copy.jpg"],
        ["e.jpg", "d.jpg", "c.jpg"],
    ]
    assert found.near[1][2].score == pytest.approx(np.cos(np.radians(4)), abs=1e-3)


def test_hits_show_themselves_in_a_notebook(tmp_path: Path) -> None:
    from tests.fakes import save_colour

    odd = save_colour(tmp_path / "<b> & 'c'.png", "red")
    hits = Hits([Hit(odd, 0.5, 1), Hit(tmp_path / "gone.mp4", 0.25, 2, moment_ms=3_723_000)])
    page = hits._repr_html_()
    assert page.count("data:image/jpeg;base64,") == 1
    assert "&lt;b&gt; &amp; &#x27;c&#x27;.png" in page and "<b>" not in page
    assert "0.250 gone.mp4 at 1:02:03" in page
    assert "Nothing was found" in Hits()._repr_html_()
    assert "and 40 more" in Hits([Hit(tmp_path / "gone.jpg", None, 1)] * 100)._repr_html_()
