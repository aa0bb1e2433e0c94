"""Found photos as a notebook shows them."""

from collections.abc import Sequence
from html import escape

from retrieval.search.hit import Hit
from retrieval.search.sheet.captions import title_of, value_of
from retrieval.search.sheet.html import embedded
from retrieval.search.sheet.thumbnail import thumbnail

_HEIGHT = 160
_MOST = 60
# Styles stay in the elements: notebooks strip or share everything else.
_GRID = "display:flex;flex-wrap:wrap;gap:8px"
_CAPTION = (
    "font-size:.75em;max-width:16em;overflow:hidden;white-space:nowrap;text-overflow:ellipsis"
)


def render_hits(hits: Sequence[Hit]) -> str:
    """The photos with their names and scores, as HTML that needs nothing but itself."""
    if not hits:
        return "<p>Nothing was found.</p>"
    rest = len(hits) - _MOST
    more = f"<p>and {rest:,} more</p>" if rest > 0 else ""
    return f'<div style="{_GRID}">{"".join(map(_figure, hits[:_MOST]))}</div>{more}'


def _figure(hit: Hit) -> str:
    name = _text(title_of(hit))
    picture = thumbnail(hit, _HEIGHT)
    content = "can no longer be read"
    if picture is not None:
        content = f'<img alt="{name}" height="{_HEIGHT}" src="{embedded(picture)}">'
    return (
        f'<figure style="margin:0" title="{_text(str(hit.path))}">{content}'
        f'<figcaption style="{_CAPTION}">{value_of(hit)} {name}</figcaption></figure>'
    )


def _text(value: str) -> str:
    return escape(value.encode("utf-8", "replace").decode())
