"""Small upright pictures for contact sheets."""

from pathlib import Path

from PIL import Image

from retrieval.search.hit import Hit
from retrieval.spec.errors import PhotoError
from retrieval.spec.readable import spelt_out
from retrieval.vision.decode import open_photo

# Wider or taller photos than this are cropped to it, so that none squeezes out its row.
WIDEST = 2.4
TALLEST = 0.6


def thumbnail(hit: Hit, height: int) -> Image.Image | None:
    """What was found, ``height`` pixels high, or None when it can no longer be read."""
    try:
        photo = open_photo(hit.path, target=height, moment_ms=hit.moment_ms)
    except PhotoError:
        return None
    photo = photo.crop(_middle(photo.width, photo.height))
    width = max(1, round(photo.width * height / photo.height))
    return photo.resize((width, height), Image.Resampling.LANCZOS)


def file_name(path: Path) -> str:
    """The photo's name as text; bytes that are no text show as escapes."""
    return "".join(c if c.isprintable() else " " for c in spelt_out(path.name))


def _middle(width: int, height: int) -> tuple[int, int, int, int]:
    wide = min(width, max(1, round(height * WIDEST)))
    high = min(height, max(1, round(width / TALLEST)))
    left, top = (width - wide) // 2, (height - high) // 2
    return left, top, left + wide, top + high
