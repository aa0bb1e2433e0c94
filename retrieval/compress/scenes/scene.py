"""What a scene is: groups of coloured things in one arrangement, drawn at random."""

import hashlib
import random
from dataclasses import dataclass
from typing import Literal

NOUNS = (
    "circle", "square", "triangle", "star", "heart", "moon", "tree", "house",
    "fish", "flower", "cup", "arrow", "boat", "car", "bird", "umbrella",
)  # fmt: skip
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black")
CONTAINERS = ("circle", "square", "heart")
"""Things large and plain enough to hold others."""
PLACES = ("top left", "top right", "bottom left", "bottom right", "middle")

SHARDS = 16
"""Every composition belongs to one of this many shards, see `Scene.shard`."""

Size = Literal["small", "plain", "big"]
Arrangement = Literal["alone", "beside", "stacked", "inside", "between"]

_ARRANGEMENTS: tuple[tuple[Arrangement, int], ...] = (
    ("alone", 8),
    ("beside", 36),
    ("stacked", 32),
    ("inside", 12),
    ("between", 12),
)


@dataclass(frozen=True)
class Group:
    """One to four equal things, such as two big red stars."""

    noun: str
    colour: str
    count: int = 1
    size: Size = "plain"


@dataclass(frozen=True)
class Scene:
    """Groups and how they lie; everything that a caption may speak of.

    The order of ``groups`` carries the arrangement: ``beside`` from left to right,
    ``stacked`` from top to bottom, ``inside`` the content before its container,
    ``between`` from left to right with the one in the middle second.
    """

    arrangement: Arrangement
    groups: tuple[Group, ...]
    place: str = ""
    """One of `PLACES` when the arrangement is ``alone``."""

    @property
    def shard(self) -> int:
        """A number below `SHARDS` that depends on the composition alone."""
        return hashlib.sha256(repr(self).encode()).digest()[0] % SHARDS


def draw_scene(rng: random.Random) -> Scene:
    """A random scene, one of many million compositions."""
    kinds, weights = zip(*_ARRANGEMENTS, strict=True)
    arrangement: Arrangement = rng.choices(kinds, weights)[0]
    if arrangement == "alone":
        place = rng.choice(PLACES)
        return Scene("alone", (_group(rng, biggest=1),), place)
    if arrangement == "inside":
        outer = Group(rng.choice(CONTAINERS), rng.choice(COLOURS), 1, "big")
        inner = _unlike((outer,), rng, sizes=("small",), counts=(1, 2))
        return Scene("inside", (inner, outer))
    if arrangement == "between":
        groups: tuple[Group, ...] = ()
        for _ in range(3):
            groups += (_unlike(groups, rng, sizes=("small", "plain"), counts=(1,)),)
        return Scene("between", groups)
    first = _group(rng)
    return Scene(arrangement, (first, _unlike((first,), rng)))


def _group(
    rng: random.Random,
    *,
    sizes: tuple[Size, ...] = ("small", "plain", "plain", "big"),
    counts: tuple[int, ...] = (1, 1, 2, 3, 4),
    biggest: int = 2,
) -> Group:
    count = rng.choice(counts)
    size = rng.choice(sizes)
    # More than ``biggest`` big things do not fit into the part of the picture they get.
    if size == "big" and count > biggest:
        size = "plain"
    return Group(rng.choice(NOUNS), rng.choice(COLOURS), count, size)


def _unlike(
    others: tuple[Group, ...],
    rng: random.Random,
    *,
    sizes: tuple[Size, ...] = ("small", "plain", "plain", "big"),
    counts: tuple[int, ...] = (1, 1, 2, 3, 4),
) -> Group:
    """A group that shares no colour with ``others`` and seldom a noun.

    An equal colour would vanish inside a container, and equal things side by side would
    make the caption's counts doubtful.
    """
    nouns = {other.noun for other in others}
    while True:
        group = _group(rng, sizes=sizes, counts=counts)
        fresh = group.noun not in nouns or rng.random() < 0.2
        if fresh and all(group.colour != other.colour for other in others):
            return group
