from pathlib import Path

import pytest

from retrieval.language.tokenizer import Tokenizer
from retrieval.search.query.parse import ignored_end, parse_query
from retrieval.search.query.parts import Example, Query, Sentence, Term
from retrieval.spec.errors import QueryError


def test_an_existing_photo_is_a_photo_query(tmp_path: Path) -> None:
    photo = tmp_path / "two words.JPG"
    photo.touch()
    assert parse_query(str(photo)) == Query((Term(Example(photo)),))


@pytest.mark.parametrize(
    "text", ["two dogs", "a screenshot of holiday.jpg", "notes.txt", "x" * 9999]
)
def test_other_text_is_a_sentence(text: str) -> None:
    assert parse_query(text) == Query((Term(Sentence(text)),))


def test_a_sentence_longer_than_any_file_name_may_end_like_one() -> None:
    text = "word " * 2000 + "x.jpg"
    assert parse_query(text) == Query((Term(Sentence(text)),))


@pytest.mark.parametrize("text", ["", "  \t\n"])
def test_nothing_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match="empty"):
        parse_query(text)


def test_a_photo_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="no such photo"):
        parse_query(str(tmp_path / "gone.jpg"))


@pytest.mark.parametrize(("words", "cut"), [(0, False), (6, False), (7, True), (100, True)])
def test_the_ignored_end_is_noticed_to_the_word(words: int, cut: bool) -> None:
    assert ignored_end("dog " * words, Tokenizer.clip(context_length=8)) == cut


def test_it_is_noticed_with_the_longest_context_too() -> None:
    tokenizer = Tokenizer.clip(context_length=1024)
    assert not ignored_end("dog " * 1022, tokenizer)
    assert ignored_end("dog " * 1023, tokenizer)
