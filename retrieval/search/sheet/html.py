"""A contact sheet as one HTML page that needs nothing but itself."""

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

from retrieval.search.hit import Hit
from retrieval.search.sheet.captions import shares_of_best, title_of, value_of
from retrieval.search.sheet.layout import BLANK_ASPECT, balanced_rows
from retrieval.search.sheet.thumbnail import thumbnail

if TYPE_CHECKING:
    from retrieval.search.sheet import Section

# Twice the height at which the page shows them, for sharp displays.
_HEIGHT = 420
_QUALITY = 80

_STYLE = """
:root { color-scheme: light dark; --page: #f7f6f3; --ink: #1d1c1a; --soft: #77736b;
  --line: #e2dfd8; --blank: #e9e6df; --mark: #b4532a; }
@media (prefers-color-scheme: dark) { :root { --page: #151515; --ink: #eeece7;
  --soft: #98948b; --line: #2b2a28; --blank: #242322; --mark: #e08a5b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 88rem; padding: clamp(1.25rem, 4vw, 4rem);
  background: var(--page); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
section + section { margin-top: 3.5rem; padding-top: 3rem; border-top: 1px solid var(--line); }
h1, h2 { margin: 0 0 1.4rem; font: 400 clamp(1.5rem, 3.2vw, 2.3rem)/1.2 Georgia,
  "Iowan Old Style", "Noto Serif", serif; letter-spacing: -.01em; text-wrap: balance;
  overflow-wrap: anywhere; }
ol { display: flex; flex-wrap: wrap; gap: 1.4rem 1rem; margin: 0; padding: 0;
  list-style: none; }
li { flex: var(--aspect) 1 calc(var(--aspect) * 9rem); min-width: 6rem;
  max-width: calc(var(--aspect) * 21rem); }
li.row { display: none; }
@media (min-width: 56rem) { li { flex-basis: 0; }
  li.row { display: block; flex: 0 0 100%; max-width: none; height: 0; margin-top: -1.4rem; } }
figure { margin: 0; }
a { display: block; border-radius: 8px; overflow: hidden; background: var(--blank);
  aspect-ratio: var(--aspect); outline-offset: 3px;
  text-decoration: none; }
img { display: block; width: 100%; height: 100%; object-fit: cover;
  transition: transform .25s ease; }
a:hover img { transform: scale(1.03); }
@media (prefers-reduced-motion: reduce) { img { transition: none; } }
a span { display: grid; place-items: center; height: 100%; color: var(--soft); }
figcaption { display: flex; gap: .75rem; margin-top: .5rem; font-size: .82rem; }
figcaption span { flex: 1; overflow: hidden; white-space: nowrap; text-overflow: ellipsis;
  color: var(--soft); }
figcaption b { font-weight: 500; font-variant-numeric: tabular-nums; }
meter { display: block; width: 100%; height: 3px; margin-top: .4rem; border: 0;
  border-radius: 2px; background: var(--line); overflow: hidden; appearance: none; }
meter::-webkit-meter-bar { height: 3px; border: 0; background: var(--line); }
meter::-webkit-meter-optimum-value { background: var(--mark); }
meter::-moz-meter-bar { background: var(--mark); }
p { color: var(--soft); }
footer { margin-top: 4rem; color: var(--soft); font-size: .8rem; }
@media print { body { padding: 0; } li { break-inside: avoid; } }
"""


def render_sheet(sections: Sequence["Section"]) -> str:
    """The page's source; thumbnails are embedded, no script is."""
    title = " · ".join(section.title for section in sections) or "Contact sheet"
    body = "\n".join(_section(section) for section in sections)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
{body}
</main>
<footer>A score is the cosine between query and photo; bars are relative to the best one.
Made with leanclip.</footer>
</body>
</html>
"""


def _section(section: "Section") -> str:
    if not section.hits:
        return f"<section>\n<h2>{_text(section.title)}</h2>\n<p>Nothing was found.</p>\n</section>"
    pictures = [thumbnail(hit, _HEIGHT) for hit in section.hits]
    aspects = [BLANK_ASPECT if p is None else p.width / p.height for p in pictures]
    shares = shares_of_best(section.hits)
    items = list(map(_item, section.hits, pictures, aspects, shares))
    lines = []
    for count in balanced_rows(aspects):
        lines += [*items[:count], '<li class="row" role="presentation"></li>']
        del items[:count]
    listed = "\n".join(lines[:-1])
    return f"<section>\n<h2>{_text(section.title)}</h2>\n<ol>\n{listed}\n</ol>\n</section>"


def _item(hit: Hit, picture: Image.Image | None, aspect: float, share: float | None) -> str:
    name = _text(title_of(hit))
    content = "<span>can no longer be read</span>"
    if picture is not None:
        content = f'<img alt="{name}" src="{embedded(picture)}">'
    bar = "" if share is None else f'<meter value="{share:.3f}" aria-hidden="true"></meter>'
    return (
        f'<li style="--aspect:{aspect:.3f}"><figure>'
        f'<a href="{_text(_address(hit))}" title="{name}">{content}</a>'
        f"<figcaption><span>{name}</span><b>{value_of(hit)}</b></figcaption>{bar}"
        "</figure></li>"
    )


def _address(hit: Hit) -> str:
    # Browsers begin to play a video at this second (https://www.w3.org/TR/media-frags/).
    moment = "" if hit.moment_ms is None else f"#t={hit.moment_ms / 1000:g}"
    return hit.path.absolute().as_uri() + moment


def embedded(picture: Image.Image) -> str:
    """A picture as an address that holds its pixels."""
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY, optimize=True, progressive=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _text(value: str) -> str:
    return escape(value.encode("utf-8", "replace").decode())
