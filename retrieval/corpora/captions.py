"""Captions of photos that are not here: JSON lines of ``{"captions": ["...", "..."]}``."""

from pathlib import Path

from retrieval.corpora.lines import numbered_lines
from retrieval.corpora.pairs import captions_of, parse_object
from retrieval.spec.errors import CorpusError

_EXPECTED = 'expected {"captions": ["a sentence", "another of the same photo", ...]}'


def read_caption_groups(path: Path) -> list[list[str]]:
    """Read what several people wrote about the same photo, a group for each line.

    Keys other than ``captions`` are ignored, so a file of captioned photos is read too, and
    its photos need not be here. Lines with a single caption are left out: they say of no two
    sentences that they belong together.

    Raises:
        CorpusError: The file is missing, a line is malformed, or no line has two captions.
    """
    groups = []
    for number, text in numbered_lines(path):
        place = f"{path}:{number}"
        captions = captions_of(
            parse_object(text, place, ("captions",), _EXPECTED), place, _EXPECTED
        )
        if len(captions) > 1:
            groups.append(captions)
    if not groups:
        raise CorpusError(f"{path}: no line has two captions or more; {_EXPECTED} on each line")
    return groups
