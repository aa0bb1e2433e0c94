"""Keyframes of videos: upright, in the right colours, at their times, whatever the container."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.spec.errors import PhotoError
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.decode import is_photo_name, is_readable_name, open_photo
from retrieval.vision.details import FileDetails, read_details
from retrieval.vision.frames import load_frames
from tests.vision.made_photos import CORNERS, corners_of, photo_like, quarters

pytest.importorskip("av")

from retrieval.vision.video import MOST_MOMENTS, opened_video
from tests.fixtures.videos import plain, write_sound, write_video

RED, GREEN, BLUE = (200, 40, 40), (40, 180, 60), (40, 60, 190)
SCENES = [plain(colour) for colour in (RED, GREEN, BLUE)]
SPEC = Preprocessing(size=16)


def assert_colour(found: object, expected: tuple[int, int, int]) -> None:
    np.testing.assert_allclose(np.asarray(found, int), expected, atol=8)


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"])
def test_each_scene_of_each_container_is_a_moment(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"film{suffix}", SCENES)
    frames = load_frames(path, SPEC)
    assert frames.moments == (0, 2000, 4000)
    assert frames.pixels.shape == (3, 3, 16, 16)
    for pixels, colour in zip(frames.pixels, (RED, GREEN, BLUE), strict=True):
        assert_colour(pixels.mean(axis=(1, 2)), colour)
    assert read_details(path) == FileDetails(width=64, height=48, duration_ms=6000)


def test_a_moment_shows_the_keyframe_before_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", SCENES)
    for moment, colour in ((0, RED), (1999, RED), (2000, GREEN), (5900, BLUE), (99_000, BLUE)):
        assert_colour(open_photo(path, moment_ms=moment).getpixel((20, 20)), colour)
    assert_colour(open_photo(path).getpixel((20, 20)), RED)


def test_scenes_that_look_alike_are_one_moment(tmp_path: Path) -> None:
    nearly = Image.fromarray(np.asarray(photo_like(64, 48)) // 2 + 40)
    noisy = Image.fromarray(np.asarray(nearly) + np.uint8(3))
    changed = nearly.copy()
    changed.paste((250, 250, 250), (8, 8, 16, 16))
    path = write_video(tmp_path / "still.mp4", [nearly, noisy, nearly, changed, nearly])
    assert load_frames(path, SPEC).moments == (0, 6000, 8000)


def test_a_long_video_has_a_bounded_number_of_moments_spread_over_it(tmp_path: Path) -> None:
    scenes = [plain((10 * (number % 25), 5 * (number % 50), 128)) for number in range(100)]
    path = write_video(tmp_path / "long.mkv", scenes, seconds=1)
    moments = load_frames(path, SPEC).moments
    assert len(moments) == MOST_MOMENTS
    steps = np.diff(np.array(moments, int))
    assert set(steps.tolist()) == {3000, 4000}


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_video_stands_upright(tmp_path: Path, rotation: int) -> None:
    upright = quarters(64, 96)
    path = write_video(
        tmp_path / "phone.mp4", [upright.rotate(-rotation, expand=True)], rotation=rotation
    )
    picture = open_photo(path)
    assert picture.size == (64, 96)
    np.testing.assert_allclose(corners_of(picture), CORNERS, atol=8)
    details = read_details(path)
    assert (details.width, details.height) == (64, 96)


def test_the_turn_of_a_phone_held_upright(tmp_path: Path) -> None:
    path = write_video(tmp_path / "phone.mov", [quarters(96, 64)])
    content = bytearray(path.read_bytes())
    # ISO/IEC 14496-12, 8.3.2: the matrix by which phones say "a quarter turn clockwise".
    matrix = content.index(b"tkhd") + 4 + 40
    numbers = [0, 1 << 16, 0, -(1 << 16), 0, 0]
    content[matrix : matrix + 24] = b"".join(n.to_bytes(4, "big", signed=True) for n in numbers)
    path.write_bytes(content)
    expected = corners_of(quarters(96, 64).transpose(Image.Transpose.ROTATE_270))
    np.testing.assert_allclose(corners_of(open_photo(path)), expected, atol=8)


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    path = write_video(tmp_path / "tape.mp4", SCENES, pixel_aspect=Fraction(3, 2))
    assert open_photo(path).size == (96, 48)


def test_high_definition_has_its_own_colours(tmp_path: Path) -> None:
    path = write_video(tmp_path / "hd.mp4", [plain(RED, (64, 720))], seconds=1)
    # It was written with the colours of BT.601 and does not say so: red turns a little orange.
    red, green, blue = open_photo(path).getpixel((20, 20))
    assert green - RED[1] > 10 and abs(red - RED[0]) < 20 and abs(blue - RED[2]) < 20


def test_sound_is_ignored(tmp_path: Path) -> None:
    path = write_video(tmp_path / "loud.mp4", SCENES, sound=True)
    assert load_frames(path, SPEC).moments == (0, 2000, 4000)
    with pytest.raises(PhotoError, match="holds no pictures, or in no format"):
        open_photo(write_sound(tmp_path / "song.mp4"))


def test_pictures_in_an_unknown_format(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", SCENES[:1])
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(PhotoError, match="holds no pictures, or in no format that can be read"):
        open_photo(path)


def test_a_recording_that_does_not_say_how_long_it_is(tmp_path: Path) -> None:
    path = write_video(tmp_path / "streamed.webm", SCENES, streamed=True)
    with opened_video(path) as video:
        assert video.duration_ms is None
    assert load_frames(path, SPEC).moments == (0, 2000, 4000)
    assert_colour(open_photo(path, moment_ms=4000).getpixel((20, 20)), BLUE)


def test_what_phones_say_of_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "com.apple.quicktime.creationdate": "2023-05-17T14:03:11+0200",
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.model": "iPhone 14",
        "com.apple.quicktime.location.ISO6709": "-33.8600+151.2100+020.000/",
        "creation_time": "2023-05-17T12:03:11Z",
    }
    found = read_details(write_video(tmp_path / "a.mov", SCENES[:1], said=said))
    assert found.taken_at == 1_684_332_191  # 14:03:11, whatever the zone
    assert found.camera == "Apple iPhone 14"
    assert (found.latitude, found.longitude) == (-33.86, 151.21)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    utc = {"creation_time": "2023-05-17T12:03:11Z", "location": "+00.0000+000.0000/"}
    code = (
        "from pathlib import Path; from retrieval.vision.details import read_details; "
        f"print(read_details(Path({str(write_video(tmp_path / 'b.mp4', SCENES[:1], said=utc))!r})))"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert "taken_at=1684357391" in printed  # 21:03:11 on a clock in Tokyo
    assert "latitude=None" in printed


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".webm"])
def test_a_video_that_is_cut_off_gives_what_it_has_or_says_why(tmp_path: Path, suffix: str) -> None:
    whole = write_video(tmp_path / f"whole{suffix}", [photo_like(64, 48), *SCENES]).read_bytes()
    path = tmp_path / f"cut{suffix}"
    for kept in (1, len(whole) // 50, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:kept])
        try:
            frames = load_frames(path, SPEC)
        except PhotoError as error:
            assert str(path) in str(error)
        else:
            assert set(frames.moments) <= {0, 2000, 4000, 6000}
    path.write_bytes(whole[: len(whole) // 50])
    with pytest.raises(PhotoError, match="not a video|none of its pictures is whole"):
        load_frames(path, SPEC)
    assert read_details(path).duration_ms is None or read_details(path).width is not None


def test_a_list_of_other_files_is_not_followed(tmp_path: Path) -> None:
    target = write_video(tmp_path / "secret.mp4", SCENES)
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {target.name}\n",
    ):
        path = tmp_path / "list.mp4"
        path.write_text(text)
        with pytest.raises(PhotoError, match="not a video that can be read"):
            open_photo(path)


def test_too_many_pixels_are_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", SCENES[:1])
    with pytest.raises(PhotoError, match=r"has 64 x 48 = 3,072 pixels, more than the limit"):
        open_photo(path, max_pixels=3071)
    assert open_photo(path, max_pixels=3072).size == (64, 48)


def test_names_that_look_like_addresses_are_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = [Path("pipe:1.mp4"), Path(os.fsdecode(b"\xff\n.mp4"))]
    for name in odd:
        write_video(tmp_path / "plain.mp4", SCENES[:1]).rename(name)
        assert open_photo(name).size == (64, 48)


def test_without_the_extra_a_video_names_the_extra(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", SCENES[:1])
    code = (
        "import sys; sys.modules['av'] = None\n"
        "from pathlib import Path\n"
        "from retrieval.vision.decode import is_known_name, is_readable_name, open_photo\n"
        f"path = Path({str(path)!r})\n"
        "print(is_known_name(path), is_readable_name(path))\n"
        "open_photo(path)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "True False\n"
    assert done.stderr.splitlines()[-1] == (
        f"retrieval.spec.errors.PhotoError: {path} is a video, which needs extra packages: "
        "pip install 'leanclip[video]'"
    )


def test_videos_are_searched_but_are_no_photos_to_train_with() -> None:
    assert is_readable_name(Path("film.MP4"))
    assert not is_photo_name(Path("film.MP4"))
