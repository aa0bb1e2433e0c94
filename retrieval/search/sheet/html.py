"""A contact sheet as one HTML page that needs nothing but itself."""

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

from retrieval.search.hit import Hit
from retrieval.search.sheet.thumbnail import file_name, thumbnail

if TYPE_CHECKING:
    from retrieval.search.sheet import Section

# Twice the height at which the page shows them, for sharp displays.
_HEIGHT = 400
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
ol::after { content: ""; flex: 10 1 0; }
li { flex: var(--aspect) 1 calc(var(--aspect) * 11.5rem); min-width: 6rem;
  max-width: calc(var(--aspect) * 17rem); }
figure { margin: 0; }
a { display: block; border-radius: 8px; overflow: hidden; background: var(--blank);
  aspect-ratio: var(--aspect); outline-offset: 3px; }
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
    best = max((hit.score for hit in section.hits), default=0.0)
    items = "\n".join(_item(hit, best) for hit in section.hits)
    found = f"<ol>\n{items}\n</ol>" if items else "<p>Nothing was found.</p>"
    return f"<section>\n<h2>{_text(section.title)}</h2>\n{found}\n</section>"


def _item(hit: Hit, best: float) -> str:
    picture = thumbnail(hit.path, _HEIGHT)
    name = _text(file_name(hit.path))
    if picture is None:
        aspect, content = 1.5, "<span>can no longer be read</span>"
    else:
        buffer = BytesIO()
        picture.save(buffer, "JPEG", quality=_QUALITY, optimize=True, progressive=True)
        data = base64.b64encode(buffer.getvalue()).decode()
        aspect = picture.width / picture.height
        content = f'<img alt="{name}" src="data:image/jpeg;base64,{data}">'
    share = max(0.0, hit.score / best) if best > 0 else 0.0
    return (
        f'<li style="--aspect:{aspect:.3f}"><figure>'
        f'<a href="{_text(hit.path.absolute().as_uri())}" title="{name}">{content}</a>'
        f"<figcaption><span>{name}</span><b>{hit.score:.3f}</b></figcaption>"
        f'<meter value="{share:.3f}" aria-hidden="true"></meter></figure></li>'
    )


def _text(value: str) -> str:
    return escape(value.encode("utf-8", "replace").decode())
