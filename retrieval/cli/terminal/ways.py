"""The ways in which terminals show pictures, and which one a terminal knows."""

from collections.abc import Mapping
from enum import StrEnum


class Way(StrEnum):
    """How pictures reach a terminal; ``auto`` asks the environment."""

    AUTO = "auto"
    KITTY = "kitty"
    ITERM = "iterm"
    SIXEL = "sixel"
    BLOCKS = "blocks"
    NONE = "none"


_BY_PROGRAM = {
    "ghostty": Way.KITTY,
    "iTerm.app": Way.ITERM,
    "WezTerm": Way.ITERM,
    "mintty": Way.ITERM,
    "rio": Way.ITERM,
    "contour": Way.SIXEL,
}
_BY_TERM = {
    "xterm-kitty": Way.KITTY,
    "xterm-ghostty": Way.KITTY,
    "foot": Way.SIXEL,
    "foot-extra": Way.SIXEL,
    "mlterm": Way.SIXEL,
    "yaft-256color": Way.SIXEL,
}
_COLOURLESS = {"", "dumb", "vt100", "vt220"}


def way_of(environment: Mapping[str, str]) -> Way:
    """What a terminal can show, judged by its environment variables.

    The terminal itself is not asked: its answer would have to be waited for, and what somebody
    types meanwhile would be swallowed. Where nothing better is known for sure, coloured blocks
    work everywhere.

    Args:
        environment: Such as `os.environ`.
    """
    term = environment.get("TERM", "")
    if "NO_COLOR" in environment or term in _COLOURLESS:
        return Way.NONE
    if "TMUX" in environment or term.startswith(("screen", "tmux")):
        # Multiplexers pass pictures on only when they are told to.
        return Way.BLOCKS
    if "KITTY_WINDOW_ID" in environment:
        return Way.KITTY
    program = environment.get("TERM_PROGRAM", environment.get("LC_TERMINAL", ""))
    if program == "iTerm2":
        return Way.ITERM
    return _BY_PROGRAM.get(program) or _BY_TERM.get(term) or Way.BLOCKS
