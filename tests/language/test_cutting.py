"""A cut vocabulary reads its sentences as before and loses nothing of any other."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.language.cleaning import END, START, clean, words
from retrieval.language.cutting import cut_vocabulary
from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.errors import CorpusError, RecipeError

CLIP = Tokenizer.clip(context_length=32)
SENTENCES = [
    "Two dogs are running on the pavement.",
    "A dog isn't in the caf\u00e9 &amp; the snow",
    "Twenty-2 red stars <end_of_text> above a blue fish",
    "two dogs and two cats",
]


def pieces(tokenizer: Tokenizer, sentence: str) -> list[str]:
    return [tokenizer.token(id) for id in tokenizer(sentence)]


def test_its_sentences_fall_into_the_same_tokens() -> None:
    cut = cut_vocabulary(CLIP, SENTENCES)
    assert cut.vocabulary_size < 620
    for sentence in SENTENCES:
        # Padding is token 0 in both.
        assert pieces(cut, sentence) == pieces(CLIP, sentence)


def test_every_token_that_is_left_is_needed() -> None:
    cut = cut_vocabulary(CLIP, ["two dogs"])
    # two: t w -> tw, tw o; dogs: d o -> do, g s -> gs, do gs.
    learned = {cut.token(id) for id in range(512, cut.vocabulary_size - 2)}
    parts = {part for line in cut.merges for part in line.split(" ")}
    assert {"two</w>", "dogs</w>"} <= learned
    assert learned <= parts | {"two</w>", "dogs</w>"}


def test_merges_keep_their_order() -> None:
    cut = cut_vocabulary(CLIP, SENTENCES)
    rank = {line: number for number, line in enumerate(CLIP.merges)}
    ranks = [rank[line] for line in cut.merges]
    assert ranks == sorted(ranks)


def test_the_most_applied_merges_stay_and_what_they_are_made_of() -> None:
    given = Tokenizer.from_merges("a b</w>\nx y\nxy z</w>\n", context_length=8)
    sentences = ["xyz xyz xyz ab"]
    assert cut_vocabulary(given, sentences, size=515).merges == ("x y",)
    assert cut_vocabulary(given, sentences, size=516).merges == ("x y", "xy z</w>")
    assert cut_vocabulary(given, sentences, size=9999).merges == given.merges


def test_parts_come_first_even_where_the_file_lists_them_last() -> None:
    given = Tokenizer.from_merges("ab c</w>\na b\n", context_length=8)
    assert cut_vocabulary(given, ["abc"], size=515).merges == ("a b",)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_any_other_sentence_survives(sentence: str) -> None:
    expected = list(words(clean(sentence)))
    if START in expected or END in expected:
        return
    cut = cut_vocabulary(CLIP, SENTENCES, size=540, context_length=1024)
    assert cut.decode(cut(sentence)) == " ".join(expected)


def test_context_and_case_are_those_of_the_source_unless_given() -> None:
    cased = Tokenizer.from_merges("A b</w>\na b</w>\n", context_length=12, lower_case=False)
    cut = cut_vocabulary(cased, ["Ab"])
    assert (cut.merges, cut.context_length, cut.spec.lower_case) == (("A b</w>",), 12, False)
    assert cut_vocabulary(cased, ["Ab"], context_length=9).context_length == 9


def test_nothing_to_choose_by_and_too_few_tokens_are_refused() -> None:
    with pytest.raises(CorpusError, match="no word in the sentences to choose"):
        cut_vocabulary(CLIP, ["", START])
    with pytest.raises(RecipeError, match="at least 514 tokens, not 513"):
        cut_vocabulary(CLIP, SENTENCES, size=513)
