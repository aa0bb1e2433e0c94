"""Sentences to distil a text tower on; they need no photos."""

from pathlib import Path

from retrieval.corpora.lines import numbered_lines
from retrieval.corpora.pairs import flatten_captions, is_pairs_name, read_pairs
from retrieval.spec.errors import CorpusError


def read_sentences(path: Path) -> list[str]:
    """Sentences of ``.txt`` or ``.txt.gz``, one a line, or the captions of a ``.jsonl``.

    Order and repetitions are kept, blank lines are not.

    Raises:
        CorpusError: The file is missing, empty, not UTF-8 or a malformed ``.jsonl``.
    """
    if is_pairs_name(path):
        return flatten_captions(read_pairs(path))[0]
    sentences = [text for _, text in numbered_lines(path)]
    if not sentences:
        raise CorpusError(f"{path}: holds no sentences; expected one a line")
    return sentences
