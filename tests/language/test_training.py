"""A vocabulary learned from sentences has CLIP's layout and loses nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.language.cleaning import END, START, clean, words
from retrieval.language.tokenizer import Tokenizer
from retrieval.language.training import train_vocabulary
from retrieval.spec.errors import CorpusError, RecipeError

COLOURS = ("red", "green", "blue", "white", "black", "yellow")
ANIMALS = ("dog", "cat", "horse", "pigeon", "Dachshund", "elephant")
PLACES = ("on the pavement", "in the snow", "near a caf\u00e9 &amp; a lake", "under 20 trees")
SENTENCES = [f"Two {c} {a}s  {p}." for c in COLOURS for a in ANIMALS for p in PLACES]
TRAINED = train_vocabulary(SENTENCES, size=590, context_length=512)


def test_the_layout_is_clips() -> None:
    assert TRAINED.vocabulary_size == 590
    assert (TRAINED.spec.start_id, TRAINED.spec.end_id, TRAINED.spec.pad_id) == (588, 589, 0)
    assert [TRAINED.token(id) for id in (0, 256, 588, 589)] == ["!", "!</w>", START, END]
    tokens = [TRAINED.token(id) for id in range(590)]
    assert len(set(tokens)) == 590


def test_the_most_frequent_pair_comes_first() -> None:
    # "th" stands in 4 words of 8; every other pair in fewer.
    trained = train_vocabulary(["the then this thou", "go so no we"], size=515, context_length=8)
    assert trained.token(512) == "th"


def test_frequent_words_become_one_token() -> None:
    assert (TRAINED("two pavement") != 0).sum() == 4
    untrained = Tokenizer.from_merges("", context_length=512)
    assert (untrained("two pavement") != 0).sum() == 13


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_sentence_survives(sentence: str) -> None:
    expected = list(words(clean(sentence)))
    if START in expected or END in expected:
        return
    assert TRAINED.decode(TRAINED(sentence)) == " ".join(expected)


def test_saved_and_read_again(tmp_path: Path) -> None:
    again = Tokenizer.from_spec(TRAINED.save(tmp_path), tmp_path)
    assert again.spec == TRAINED.spec
    assert (again.batch(SENTENCES) == TRAINED.batch(SENTENCES)).all()


def test_the_same_sentences_give_the_same_vocabulary_in_every_process() -> None:
    code = (
        "from retrieval.language.training import train_vocabulary\n"
        f"k = train_vocabulary({SENTENCES[:60]!r}, size=560, context_length=8)\n"
        "print(k.spec.vocabulary_sha256)"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1


def test_few_sentences_give_a_smaller_vocabulary() -> None:
    # Only "do" + "g</w>" and what leads to it occurs twice.
    trained = train_vocabulary(["a dog", "the dog"], size=8192, context_length=8)
    assert trained.vocabulary_size == 516
    assert trained.token(513) == "dog</w>"


def test_special_tokens_in_the_corpus_are_not_learned() -> None:
    trained = train_vocabulary([f"{START} {END}"] * 5 + ["dog dog"], size=1000, context_length=8)
    assert trained.vocabulary_size == 516


@pytest.mark.parametrize("sentences", [[], ["", "  \n "], [START]])
def test_no_words_to_learn_from(sentences: list[str]) -> None:
    with pytest.raises(CorpusError, match="no word"):
        train_vocabulary(sentences, size=600, context_length=8)


def test_a_vocabulary_needs_its_bytes() -> None:
    with pytest.raises(RecipeError, match="at least 514 tokens, not 513"):
        train_vocabulary(SENTENCES, size=513, context_length=8)
    assert train_vocabulary(SENTENCES, size=514, context_length=8).vocabulary_size == 514
