"""Carries the files of the repository that a page links to into the site.

Pages link to recipes, raw figures and licences by relative paths, which work in a checkout. The
site has its own copy of each, so that it works wherever it is put, and a link to a file that is
gone fails the strict build.
"""

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
FOLDER = "repository"
"""Of the site, where copies lie as they do in the repository."""

_FENCED = re.compile(r"^( *)(```|~~~).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<text>\[[^\]]*\])\((?P<target>[^()\s#:]+)(?P<anchor>#[^()\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what pages link to, and what those pages link to in turn."""
    waiting = [Path(file.abs_src_path) for file in files.documentation_pages() if _is_ours(file)]
    while waiting:
        page = waiting.pop()
        text = _FENCED.sub("", page.read_text("utf-8"))
        for link in _LINK.finditer(text):
            target = _linked(page, link["target"])
            if target is None or target.is_dir():
                continue
            place = _place(target)
            if files.get_file_from_path(place) is None:
                files.append(File.generated(config, place, abs_src_path=str(target)))
                if target.suffix == ".md":
                    waiting.append(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at the copies; folders without a README keep their words only."""
    if not _is_ours(page.file):
        return markdown
    source = Path(page.file.abs_src_path or "")

    def pointed(link: re.Match[str]) -> str:
        target = _linked(source, link["target"])
        if target is None:
            return link[0]
        if target.is_dir():
            return link["text"][1:-1]
        here = posixpath.dirname(page.file.src_uri) or "."
        there = posixpath.relpath(_place(target), here)
        return f"{link['text']}({there}{link['anchor'] or ''})"

    return _outside_fences(markdown, lambda text: _LINK.sub(pointed, text))


def _is_ours(file: File) -> bool:
    return file.abs_src_path is not None and Path(file.abs_src_path).is_relative_to(ROOT)


def _linked(page: Path, target: str) -> Path | None:
    """What a link means in the repository; None where MkDocs itself understands it."""
    path = Path(posixpath.normpath(page.parent / target))
    if not path.exists() or not path.is_relative_to(ROOT):
        return None
    if page.is_relative_to(ROOT / "docs") and path.is_relative_to(ROOT / "docs"):
        return None
    readme = path / "README.md"
    return readme if readme.is_file() else path


def _place(path: Path) -> str:
    """Where a file of the repository lies among the sources of the site."""
    inside = path.relative_to(ROOT)
    if inside.parts[0] == "docs":
        return posixpath.join(*inside.parts[1:])
    return posixpath.join(FOLDER, *inside.parts)


def _outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for fence in _FENCED.finditer(markdown):
        parts += [change(markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(markdown[end:])])
