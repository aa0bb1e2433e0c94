"""Ids equal open_clip's, token for token, whatever is written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import retrieval.models.torchvision_guard  # noqa: F401
from retrieval.language.tokenizer import Tokenizer

# isort: split
from open_clip import SimpleTokenizer

OURS = Tokenizer.clip()
THEIRS = SimpleTokenizer()

FRAGMENTS = [
    *("pavement", "Two dogs", "don't", "I'LL", "they've", "rock'n'roll", "'s", "o'\u017f", "2024"),
    *("&amp;", "&amp;lt;", "&amp;amp;amp;gt;", "&EACUTE;", "&eacute", "&#39;", "&#xD800;", "&#10;"),
    *("&nbsp;", "&", "<", ">", "<b>", "&#0;", "&notanentity;"),
    *(" ", "   ", "\t", "\n", "\r\n", "\u2028", "\u00a0", "\x0b", "\x0c", "\x1c", "\x85"),
    *("\x00", "\x07", "\x1b[31m", "\x1b", "\x7f", "\ufeff", "\u200b", "\ud800", "\ufffe"),
    *("caf\u00e9", "cafe\u0301", "Ã©", "â€œ", "\u201cquoted\u201d", "ﬁsh", "ＦＵＬＬ", "İstanbul"),
    *("\U0001f436", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "☃️"),
    *("犬", "собака", "كلب", "कुत्ता", "\u0660", "½", "K", "ſ", "ß", "Ǆ", "_", "...", "!?", "</w>"),
    *("<start_of_text>", "<end_of_text>", "<START_OF_TEXT>", "<\u017ftart_of_text>", "a" * 90),
]
SENTENCES = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join),
    st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(" ".join),
    st.text(st.characters(max_codepoint=127), max_size=60),
    st.text(st.characters(exclude_categories=()), max_size=40),
)


@pytest.mark.parametrize("fragment", ["", *FRAGMENTS])
def test_awkward_fragments(fragment: str) -> None:
    sentence = f"a {fragment} dog{fragment}"
    assert OURS(sentence).tolist() == THEIRS(sentence)[0].tolist()
    assert OURS(fragment).tolist() == THEIRS(fragment)[0].tolist()


@settings(max_examples=600, deadline=None)
@given(SENTENCES)
def test_any_sentence(sentence: str) -> None:
    assert OURS(sentence).tolist() == THEIRS(sentence)[0].tolist()


@settings(max_examples=100, deadline=None)
@given(st.lists(SENTENCES, max_size=5), st.integers(4, 90))
def test_any_batch_and_context(sentences: list[str], context: int) -> None:
    ids = OURS.with_context(context).batch(sentences)
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, THEIRS(sentences, context_length=context).numpy())


def test_a_long_sentence_ends_with_the_end_id() -> None:
    sentence = "a dog runs over the pavement " * 40
    ids = OURS(sentence)
    assert ids.tolist() == THEIRS(sentence)[0].tolist()
    assert ids[0] == OURS.spec.start_id == 49406
    assert ids[-1] == OURS.spec.end_id == 49407


def test_the_vocabulary_is_clips() -> None:
    assert OURS.vocabulary_size == THEIRS.vocab_size == 49408
    assert [OURS.token(id) for id in range(49408)] == [THEIRS.decoder[id] for id in range(49408)]
