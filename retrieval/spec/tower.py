"""The two towers of a dual encoder, by name."""

from typing import Final, Literal

Tower = Literal["image", "text"]

TOWERS: Final[tuple[Tower, ...]] = ("image", "text")
