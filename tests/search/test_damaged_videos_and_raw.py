"""Damaged videos, RAW and HEIC files cost themselves, whatever their readers do."""

import tempfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.catalog.records import PhotoFile
from retrieval.search.indexing.decoder import Decoder
from tests.fixtures.raw_files import dng
from tests.vision.made_photos import photo_like

pytest.importorskip("av")
pytest.importorskip("rawpy")
pytest.importorskip("pillow_heif")

import pillow_heif

from tests.fixtures.videos import write_video

SMALL = photo_like(64, 48)


@pytest.fixture(scope="module")
def whole() -> dict[str, bytes]:
    """A file of each kind."""
    files = {"dng": dng(SMALL, SMALL), "pef": dng(SMALL, None)}
    heic = BytesIO()
    pillow_heif.from_pillow(SMALL).save(heic)
    files["heic"] = heic.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("mp4", "mkv", "webm", "avi"):
            path = write_video(Path(folder) / f"a.{kind}", [SMALL, SMALL.rotate(180)])
            files[kind] = path.read_bytes()
    return files


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.data(),
    kind=st.sampled_from(["dng", "pef", "heic", "mp4", "mkv", "webm", "avi"]),
)
def test_damage(decoder: Decoder, whole: dict[str, bytes], data: st.DataObject, kind: str) -> None:
    content = bytearray(whole[kind])
    last = len(content) - 1
    # Headers stand at the beginning, and in MP4 and in our RAW files at the end.
    places = st.one_of(st.integers(0, 300), st.integers(last - 300, last), st.integers(0, last))
    changes = st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)
    for place, value in data.draw(changes):
        content[place] = value
    keep = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"damaged.{kind}"
        path.write_bytes(content[:keep])
        state = path.stat()
        found = decoder.read(PhotoFile(path, state.st_size, state.st_mtime_ns))
    if found.why is None:
        assert found.pixels is not None
        assert found.pixels.shape == (len(found.moments), 3, 16, 16)
        assert list(found.moments) == sorted(set(found.moments), key=found.moments.index)
    else:
        assert (found.state, found.pixels) == ("damaged", None)
        assert "\n" not in found.why
