"""A picture as what makes a terminal show it."""

import base64
from io import BytesIO

from PIL import Image

from retrieval.cli.terminal.sixel import as_sixel
from retrieval.cli.terminal.ways import Way

ROWS = 8
"""Lines of text that a picture is high."""
PIXELS = 20 * ROWS
"""Height of the picture that is sent; terminals' lines are about 20 pixels high."""

_CHUNK = 4096
_UPPER_HALF = "\u2580"


def drawn(picture: Image.Image, way: Way) -> str:
    """What shows a picture when it is written to a terminal; the cursor ends below it.

    Args:
        picture: RGB, `PIXELS` high.
        way: One that shows pictures.
    """
    match way:
        case Way.KITTY:
            return _kitty(_png(picture)) + "\n"
        case Way.ITERM:
            return _iterm(_png(picture)) + "\n"
        case Way.SIXEL:
            return as_sixel(picture) + "\n"
        case Way.BLOCKS:
            return _blocks(picture)
    raise ValueError(f"{way} shows no pictures")


def _kitty(png: bytes) -> str:
    # https://sw.kovidgoyal.net/kitty/graphics-protocol/: q=2 keeps the terminal from answering.
    data = base64.b64encode(png).decode()
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    sent = []
    for number, chunk in enumerate(chunks):
        more = int(number + 1 < len(chunks))
        first = f"a=T,f=100,q=2,r={ROWS}," if number == 0 else ""
        sent.append(f"\x1b_G{first}m={more};{chunk}\x1b\\")
    return "".join(sent)


def _iterm(png: bytes) -> str:
    # https://iterm2.com/documentation-images.html
    data = base64.b64encode(png).decode()
    options = f"inline=1;size={len(png)};height={ROWS};preserveAspectRatio=1"
    return f"\x1b]1337;File={options}:{data}\x07"


def _blocks(picture: Image.Image) -> str:
    """Two pixels in each character: its upper half in one colour, the rest in another."""
    columns = max(1, round(picture.width * 2 * ROWS / picture.height))
    small = picture.resize((columns, 2 * ROWS), Image.Resampling.BOX).load()
    assert small is not None
    lines = []
    for top in range(0, 2 * ROWS, 2):
        cells = [
            f"\x1b[38;2;{_numbers(small[x, top])};48;2;{_numbers(small[x, top + 1])}m{_UPPER_HALF}"
            for x in range(columns)
        ]
        lines.append("".join(cells) + "\x1b[0m\n")
    return "".join(lines)


def _numbers(colour: object) -> str:
    assert isinstance(colour, tuple)
    return ";".join(map(str, colour))


def _png(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
