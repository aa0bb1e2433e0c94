"""Our own sentences are distinct, well formed and reproducible."""

import re
import runpy
from pathlib import Path

import pytest

from retrieval.corpora.sentences import read_sentences

SENTENCES = Path(__file__).parents[2] / "data" / "sentences"
FILES = {"everyday.txt": 4000, "scenes.txt": 1500, "handwritten.txt": 300}


@pytest.mark.parametrize(("name", "least"), FILES.items())
def test_sentences_are_many_distinct_and_well_formed(name: str, least: int) -> None:
    sentences = read_sentences(SENTENCES / name)
    assert len(sentences) == len({sentence.lower() for sentence in sentences}) >= least
    for sentence in sentences:
        assert sentence[0].isupper(), sentence
        assert "<" not in sentence and "  " not in sentence
        assert sentence.isascii() or "é" in sentence, sentence
        assert 3 <= len(sentence.split()) <= 30, sentence
        assert not re.search(r"\ba [aeio]", sentence, re.IGNORECASE), sentence


def test_everyday_sentences_agree_in_number() -> None:
    for sentence in read_sentences(SENTENCES / "everyday.txt"):
        assert not re.match(r"(Two|Three|Four|Five|Several|Many|Some) [a-z ]+ is ", sentence)
        assert not re.match(r"An? [a-z]*(man|boy|girl|dog|cat|child) are ", sentence), sentence


def test_words_are_varied() -> None:
    everyday = " ".join(read_sentences(SENTENCES / "everyday.txt")).lower()
    written = " ".join(read_sentences(SENTENCES / "handwritten.txt")).lower()
    assert len(set(re.findall("[a-z]+", everyday))) > 900
    assert len(set(re.findall("[a-z]+", written))) > 900


def test_the_script_writes_what_is_committed(tmp_path: Path) -> None:
    script = runpy.run_path(str(SENTENCES / "write_sentences.py"))
    script["write"](tmp_path)
    for name in ("everyday.txt", "scenes.txt"):
        assert (tmp_path / name).read_bytes() == (SENTENCES / name).read_bytes(), name
