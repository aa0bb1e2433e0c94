"""From a scene to several different sentences, each of them true of it."""

import random
from collections.abc import Callable, Sequence

from retrieval.compress.scenes.scene import Group, Scene

_NUMBERS = {2: "two", 3: "three", 4: "four"}
_SIZES = {"small": ("small", "small", "little", "tiny"), "plain": ("",), "big": ("big", "large")}
_PLURALS = {"fish": "fish"}
_SYNONYMS = {
    "moon": "crescent moon",
    "cup": "mug",
    "boat": "sailing boat",
    "tree": "tall tree",
    "square": "square box",
    "circle": "round disc",
}
_OPENINGS = ("", "", "", "", "a picture of ", "a photo with ", "an image of ", "someone put ")

_LEFT = ("to the left of", "left of", "on the left side of")
_RIGHT = ("to the right of", "right of", "on the right side of")
_NEAR = ("next to", "beside", "side by side with")
_ABOVE = ("above", "above", "over", "higher up than")
_BELOW = ("below", "under", "beneath", "underneath")
_INSIDE = ("inside", "in", "on")


def captions(scene: Scene, rng: random.Random, count: int) -> list[str]:
    """``count`` distinct sentences about one scene.

    Every sentence names all groups with their colour and number; the arrangement is told
    in most of them, from either end. The first one always tells it. The plainest scene has
    seven sentences, so ask for fewer.
    """
    telling, all_patterns = _PATTERNS[scene.arrangement]
    found: list[str] = []
    while len(found) < count:
        pattern = rng.choice(all_patterns if found else telling)
        words = pattern(scene, rng)
        if words not in found:
            found.append(words)
    return [_finish(words, rng) for words in found]


def phrase(group: Group, rng: random.Random) -> str:
    """A noun phrase: ``two big red stars``."""
    noun = group.noun
    size = rng.choice(_SIZES[group.size])
    # A synonym with a size of its own ("tall tree") must not meet another size word.
    if noun in _SYNONYMS and not size and rng.random() < 0.2:
        noun = _SYNONYMS[noun]
    if group.count > 1:
        noun = _PLURALS.get(noun, _plural(noun))
    words = " ".join(word for word in (size, _colour_first(group.colour, noun)) if word)
    if group.count > 1:
        return f"{_NUMBERS[group.count]} {words}"
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _colour_first(colour: str, noun: str) -> str:
    """``tall red tree`` and ``round red disc``, but ``red sailing boat``."""
    before, _, head = noun.partition(" ")
    if before in {"tall", "round"}:
        return f"{before} {colour} {head}"
    return f"{colour} {noun}"


def _plural(noun: str) -> str:
    return noun + ("es" if noun.endswith(("x", "s", "sh", "ch")) else "s")


def _finish(words: str, rng: random.Random) -> str:
    return words[0].upper() + words[1:] + ("." if rng.random() < 0.8 else "")


def _is(group: Group) -> str:
    return "is" if group.count == 1 else "are"


def _its(group: Group) -> str:
    return "it" if group.count == 1 else "them"


def _relation(
    scene: Scene, rng: random.Random, forwards: Sequence[str], backwards: Sequence[str]
) -> str:
    """One group, a preposition, the other group, told from either end."""
    first, second = scene.groups
    words = forwards
    if rng.random() < 0.5:
        first, second, words = second, first, backwards
    subject, place = phrase(first, rng), f"{rng.choice(words)} {phrase(second, rng)}"
    if rng.random() < 0.25:
        return f"there {_is(first)} {subject} {place}"
    if rng.random() < 0.15:
        return f"{subject} {_is(first)} {place}"
    return f"{rng.choice(_OPENINGS)}{subject} {place}"


def _left_or_right(scene: Scene, rng: random.Random) -> str:
    return _relation(scene, rng, _LEFT, _RIGHT)


def _above_or_below(scene: Scene, rng: random.Random) -> str:
    return _relation(scene, rng, _ABOVE, _BELOW)


def _beside(scene: Scene, rng: random.Random) -> str:
    return _relation(scene, rng, _NEAR, _NEAR)


def _halves(scene: Scene, rng: random.Random) -> str:
    first, second = scene.groups
    one, other = ("left", "right") if scene.arrangement == "beside" else ("top", "bottom")
    if one == "top":
        return f"{phrase(first, rng)} at the top and {phrase(second, rng)} at the bottom"
    if rng.random() < 0.5:
        return (
            f"on the {one} {_is(first)} {phrase(first, rng)}, on the {other} {phrase(second, rng)}"
        )
    return f"{phrase(first, rng)} on the {one} and {phrase(second, rng)} on the {other}"


def _with(scene: Scene, rng: random.Random) -> str:
    first, second = scene.groups
    places = {"beside": ("to the left of", "to the right of"), "stacked": ("above", "below")}
    before, after = places[scene.arrangement]
    if rng.random() < 0.5:
        return f"{phrase(second, rng)} with {phrase(first, rng)} {before} {_its(second)}"
    return f"{phrase(first, rng)} with {phrase(second, rng)} {after} {_its(first)}"


def _together(scene: Scene, rng: random.Random) -> str:
    groups = list(scene.groups)
    rng.shuffle(groups)
    return f"{rng.choice(_OPENINGS)}{_list([phrase(group, rng) for group in groups])}"


def _list(parts: list[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _within(scene: Scene, rng: random.Random) -> str:
    inner, outer = scene.groups
    opening = rng.choice(_OPENINGS)
    return f"{opening}{phrase(inner, rng)} {rng.choice(_INSIDE)} {phrase(outer, rng)}"


def _holding(scene: Scene, rng: random.Random) -> str:
    inner, outer = scene.groups
    if rng.random() < 0.5:
        return f"{phrase(outer, rng)} with {phrase(inner, rng)} inside"
    verb = rng.choice(("holds", "contains"))
    return f"{phrase(outer, rng)} {verb} {phrase(inner, rng)}"


def _in_between(scene: Scene, rng: random.Random) -> str:
    left, middle, right = scene.groups
    outer = [phrase(left, rng), phrase(right, rng)]
    rng.shuffle(outer)
    return f"{rng.choice(_OPENINGS)}{phrase(middle, rng)} between {outer[0]} and {outer[1]}"


def _in_a_row(scene: Scene, rng: random.Random) -> str:
    parts = [phrase(group, rng) for group in scene.groups]
    if rng.random() < 0.5:
        return f"from left to right {_list(parts)}"
    return f"{_list(parts)} in a row"


def _in_place(scene: Scene, rng: random.Random) -> str:
    (group,) = scene.groups
    where = "in the middle" if scene.place == "middle" else f"in the {scene.place} corner"
    if rng.random() < 0.3:
        return f"{where} {_is(group)} {phrase(group, rng)}"
    return f"{rng.choice(_OPENINGS)}{phrase(group, rng)} {where}"


def _only(scene: Scene, rng: random.Random) -> str:
    (group,) = scene.groups
    where = "middle" if scene.place == "middle" else scene.place
    return f"only {phrase(group, rng)}, {where}"


_Pattern = Callable[[Scene, random.Random], str]

_PATTERNS: dict[str, tuple[tuple[_Pattern, ...], tuple[_Pattern, ...]]] = {
    "alone": ((_in_place,), (_in_place, _in_place, _only)),
    "beside": (
        (_left_or_right, _left_or_right, _halves, _with),
        (_left_or_right, _left_or_right, _halves, _with, _beside, _together),
    ),
    "stacked": (
        (_above_or_below, _above_or_below, _halves, _with),
        (_above_or_below, _above_or_below, _above_or_below, _halves, _with, _together),
    ),
    "inside": ((_within, _holding), (_within, _holding)),
    "between": ((_in_between, _in_a_row), (_in_between, _in_a_row, _together)),
}
"""For each arrangement the patterns that tell it, and all of them."""
