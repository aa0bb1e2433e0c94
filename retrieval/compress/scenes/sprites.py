"""A thing as a shaded, outlined picture with an alpha channel, ready to paste."""

from functools import lru_cache

from PIL import Image, ImageChops, ImageFilter

from retrieval.compress.scenes.shapes import DRAWINGS, Colour, Pen

SPRITE_SIDE = 128
"""Pixels of a sprite; things in a scene are at most about this large."""
SHADES = 3
"""Variants of every colour, so that a colour is not one exact value."""

_SUPERSAMPLING = 4

_RGB: dict[str, tuple[Colour, ...]] = {
    "red": ((215, 30, 35), (190, 20, 30), (235, 50, 45)),
    "orange": ((245, 135, 20), (235, 120, 10), (250, 150, 40)),
    "yellow": ((250, 220, 40), (245, 205, 20), (255, 232, 80)),
    "green": ((45, 160, 60), (30, 135, 50), (80, 185, 75)),
    "blue": ((35, 90, 210), (25, 70, 180), (60, 120, 230)),
    "purple": ((125, 50, 165), (105, 35, 145), (145, 75, 185)),
    "pink": ((250, 135, 185), (245, 115, 170), (252, 160, 200)),
    "white": ((246, 246, 244), (236, 236, 236), (252, 252, 250)),
    "black": ((28, 28, 32), (18, 18, 20), (42, 42, 46)),
}


@lru_cache(maxsize=512)
def sprite(noun: str, colour: str, shade: int) -> Image.Image:
    """The RGBA picture of one thing, `SPRITE_SIDE` pixels square.

    It is drawn four times larger and reduced, which smooths its edges. The picture is
    shared between callers: copy before changing it.
    """
    main = _RGB[colour][shade]
    pen = Pen(
        SPRITE_SIDE * _SUPERSAMPLING,
        main=main,
        dark=_towards(main, 0, 0.28),
        light=_towards(main, 255, 0.35),
    )
    DRAWINGS[noun](pen)
    shape = _lit(pen.image.reduce(_SUPERSAMPLING))
    # A dark edge parts pale things from a pale photo, a pale one black things from a dark one.
    edge = (190, 190, 195) if colour == "black" else _towards(main, 0, 0.6)
    rim = shape.getchannel("A").filter(ImageFilter.MaxFilter(3))
    outlined = Image.new("RGBA", shape.size, (*edge, 0))
    outlined.putalpha(rim)
    outlined.alpha_composite(shape)
    finished = Image.new("RGBA", shape.size, (0, 0, 0, 0))
    shadow = rim.filter(ImageFilter.BoxBlur(3)).point(lambda value: value * 0.45)
    finished.putalpha(ImageChops.offset(shadow, 2, 3))
    finished.alpha_composite(outlined)
    return finished


def _lit(shape: Image.Image) -> Image.Image:
    """Light from the upper left: brighter there, darker at the lower right."""
    side = shape.width
    down = Image.linear_gradient("L").resize((side, side))
    across = down.transpose(Image.Transpose.ROTATE_90)
    slope = ImageChops.add(down, across, scale=2)
    shade = slope.point(lambda value: 255 - value * 0.22)
    colours = ImageChops.multiply(shape.convert("RGB"), Image.merge("RGB", (shade,) * 3))
    glow = slope.point(lambda value: max(0, 70 - value * 0.6))
    colours = ImageChops.add(colours, Image.merge("RGB", (glow,) * 3))
    colours.putalpha(shape.getchannel("A"))
    return colours


def _towards(colour: Colour, target: int, share: float) -> Colour:
    red, green, blue = (round(channel + (target - channel) * share) for channel in colour)
    return red, green, blue
