import base64
import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from retrieval.cli.terminal.pictures import PIXELS, ROWS, drawn
from retrieval.cli.terminal.ways import Way, way_of


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """Left half red, right half blue with a green stripe; its height is no multiple of six."""
    pixels = np.zeros((PIXELS, 211, 3), np.uint8)
    pixels[:, :100] = (255, 0, 0)
    pixels[:, 100:] = (0, 0, 255)
    pixels[50:60, 100:] = (0, 255, 0)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("environment", "way"),
    [
        ({}, Way.NONE),
        ({"TERM": "dumb"}, Way.NONE),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, Way.NONE),
        ({"TERM": "xterm-256color"}, Way.BLOCKS),
        ({"TERM": "xterm-kitty"}, Way.KITTY),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, Way.KITTY),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, Way.KITTY),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, Way.ITERM),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, Way.ITERM),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, Way.ITERM),
        ({"TERM": "foot"}, Way.SIXEL),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, Way.BLOCKS),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, Way.BLOCKS),
    ],
)
def test_the_environment_tells_what_a_terminal_shows(environment: dict[str, str], way: Way) -> None:
    assert way_of(environment) is way


def same(data: bytes, picture: Image.Image) -> bool:
    with Image.open(BytesIO(data)) as shown:
        return np.array_equal(np.asarray(shown), np.asarray(picture))


def test_kitty_takes_a_png_in_chunks() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (PIXELS, 200, 3), np.uint8)
    picture = Image.fromarray(noise)
    commands = re.findall("\x1b_G(.*?);(.*?)\x1b\\\\", drawn(picture, Way.KITTY))
    assert commands[0][0] == f"a=T,f=100,q=2,r={ROWS},m=1"
    assert [keys for keys, _ in commands[1:]] == ["m=1"] * (len(commands) - 2) + ["m=0"]
    assert all(len(chunk) <= 4096 for _, chunk in commands)
    assert same(base64.b64decode("".join(chunk for _, chunk in commands)), picture)


def test_iterm_takes_a_png(picture: Image.Image) -> None:
    found = re.fullmatch("\x1b]1337;File=(.*?):(.*?)\x07\n", drawn(picture, Way.ITERM))
    assert found is not None
    data = base64.b64decode(found[2])
    assert same(data, picture)
    assert f"size={len(data)}" in found[1]


def test_sixels_give_the_picture_back(picture: Image.Image) -> None:
    shown = read_sixels(drawn(picture, Way.SIXEL).rstrip("\n"))
    np.testing.assert_array_equal(shown, np.asarray(picture))


def test_sixels_of_a_photo_come_close() -> None:
    across, down = np.meshgrid(np.linspace(0, 255, 160), np.linspace(0, 255, PIXELS))
    photo = np.stack([across, down, 255 - across], axis=2).astype(np.uint8)
    shown = read_sixels(drawn(Image.fromarray(photo), Way.SIXEL).rstrip("\n"))
    assert np.abs(shown.astype(int) - photo).mean() < 20


def test_blocks_hold_two_pixels_each(picture: Image.Image) -> None:
    lines = drawn(picture, Way.BLOCKS).splitlines()
    assert len(lines) == ROWS
    assert all(line.endswith("\x1b[0m") for line in lines)
    columns = lines[0].split("\u2580")
    assert len(columns) - 1 == round(211 * 2 * ROWS / PIXELS)
    assert columns[0].removeprefix("\x1b[") == "38;2;255;0;0;48;2;255;0;0m"


def read_sixels(text: str) -> np.ndarray:
    """What a terminal would show, by the description in DEC's manual."""
    found = re.fullmatch('\x1bPq"1;1;(\\d+);(\\d+)(.*)\x1b\\\\', text, re.DOTALL)
    assert found is not None
    width, height = int(found[1]), int(found[2])
    shown = np.zeros((-(-height // 6) * 6, width, 3), np.uint8)
    palette: dict[str, list[int]] = {}
    colour, x, y = "", 0, 0
    pattern = r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|(?:!(\d+))?([?-~])|([$-])"
    for define, *percent, select, count, letter, move in re.findall(pattern, found[3]):
        if define:
            palette[define] = [round(int(value) * 2.55) for value in percent]
        elif select:
            colour = select
        elif move:
            x, y = 0, y + 6 * (move == "-")
        else:
            for bit in range(6):
                if (ord(letter) - 63) >> bit & 1:
                    shown[y + bit, x : x + int(count or 1)] = palette[colour]
            x += int(count or 1)
    assert not shown[height:].any()
    return shown[:height]
