"""leanclip: make CLIP small, search photos with it, put it on a phone.

Five names for notebooks and scripts; docs/python.md shows them at work. Importing this package
costs nothing, what a name needs is imported when it is first used.

- `open_library`: an indexed folder of photos, to ask many questions.
- `find`: photos by a sentence, by photos, and by filters.
- `similar`: photos that look like one.
- `describe`: which labels fit a photo best.
- `embed`: vectors of sentences and photos.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrieval.search.api import describe, embed, find, open_library, similar

__all__ = ["describe", "embed", "find", "open_library", "similar"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module("retrieval.search.api"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
