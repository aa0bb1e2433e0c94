from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.language.tokenizer import Tokenizer
from retrieval.search.query.parse import FILTER_KEYS, ignored_end, join_terms, parse_query
from retrieval.search.query.parts import Example, Query, Sentence, Term
from retrieval.search.query.words import quoted
from retrieval.spec.errors import LeanclipError, QueryError

VALID_TEXT = st.text(st.characters(exclude_categories=["Cs"]))

# A busy machine is no failure.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture
def beach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A photo whose name holds an operator, below the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("sun - sea.jpg").touch()
    Path("plain.jpg").touch()
    return Path("sun - sea.jpg")


def read(text: str) -> list[tuple[float, str]]:
    """Weights and words of a query that names no photo."""
    terms = parse_query(text).terms
    assert all(isinstance(term.content, Sentence) for term in terms)
    return [(term.weight, term.content.text) for term in terms]  # type: ignore[union-attr]


def test_an_existing_photo_is_a_photo_query(tmp_path: Path) -> None:
    photo = tmp_path / "two words.JPG"
    photo.touch()
    assert parse_query(str(photo)) == Query((Term(Example(photo)),))


@pytest.mark.parametrize(
    "text",
    [
        "two dogs",
        "a screenshot of holiday.jpg",
        "notes.txt",
        "x" * 9999,
        "ratio 16:9",
        "16:9 screen",
        "12:30",
        "a link to https://example.com",
        "C++ code",
        "a well-lit room",
        '12" record',
        "Title: a cat",
        "afternoon: tea",
        "odd  gaps\tstay",
        "\x00.jpg and ~nobody/x",
    ],
)
def test_other_text_is_a_sentence(text: str) -> None:
    assert parse_query(text) == Query((Term(Sentence(text)),))


def test_a_sentence_longer_than_any_file_name_may_end_like_one() -> None:
    text = "word " * 2000 + "x.jpg"
    assert parse_query(text) == Query((Term(Sentence(text)),))


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("cat + dog", [(1, "cat"), (1, "dog")]),
        ("a cat - a dog + snow", [(1, "a cat"), (-1, "a dog"), (1, "snow")]),
        ("- people", [(-1, "people")]),
        ("+ people", [(1, "people")]),
        ("2:cat", [(2, "cat")]),
        (".5:a cat - 0.25:snow", [(0.5, "a cat"), (-0.25, "snow")]),
        ("2: cat", [(2, "cat")]),
        ("cat + -2:dog", [(1, "cat"), (-2, "dog")]),
        ('"red - blue"', [(1, "red - blue")]),
        ('"2:cat"', [(1, "2:cat")]),
        ('2:"red + blue" - x', [(2, "red + blue"), (-1, "x")]),
        ('a "- sign" here', [(1, "a - sign here")]),
        ('"say ""cheese"""', [(1, 'say "cheese"')]),
        ('"+"', [(1, "+")]),
        ('"after:2023"', [(1, "after:2023")]),
        ('"http://example.com"', [(1, "http://example.com")]),
        ("dogs after:2023 in snow", [(1, "dogs in snow")]),
        ("after:2023 - cat", [(-1, "cat")]),
    ],
)
def test_terms_signs_weights_and_quotes(text: str, terms: list[tuple[float, str]]) -> None:
    assert read(text) == terms


def test_photos_and_sentences_mix(beach: Path) -> None:
    assert parse_query('0.5:plain.jpg + "sun - sea.jpg" - people').terms == (
        Term(Example(Path("plain.jpg")), 0.5),
        Term(Example(beach)),
        Term(Sentence("people"), -1),
    )


def test_a_photo_needs_no_quotes_when_it_is_the_whole_query(beach: Path) -> None:
    assert parse_query(str(beach)) == Query((Term(Example(beach)),))


def test_a_photo_below_the_home_folder(beach: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(Path.cwd()))
    [_, term] = parse_query("snow + ~/plain.jpg").terms
    assert term.content == Example(Path.cwd() / "plain.jpg")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "say in words"),
        ("  \t\n", "say in words"),
        ('""', "shows nothing"),
        ('cat + " "', "shows nothing"),
        ("+", "write red \\+ blue"),
        ("cat -", "write red - blue"),
        ("cat + - dog", "write red - blue"),
        ("cat + after:2023", "write red \\+ blue"),
        ('a "cat', "not closed"),
        ("0:cat", "0: is no weight"),
        ("9999:cat", "at most 1000"),
        ("2:", "nothing follows the weight 2:"),
        ("https://example.com/a.jpg", "fetches nothing"),
        ("cat + file:///tmp/a.jpg", "fetches nothing"),
        ("gone.jpg", "no such photo"),
        ("cat - 2:gone.jpg", "no such photo"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_right_form(text: str, said: str) -> None:
    with pytest.raises(QueryError, match=said) as refused:
        parse_query(text)
    assert "\n" not in str(refused.value)


def test_without_files_nothing_on_disk_is_looked_at(beach: Path) -> None:
    with pytest.raises(QueryError, match="cannot be named here"):
        parse_query("plain.jpg", files=False)
    assert parse_query('"plain.jpg"', files=False).terms == (Term(Sentence("plain.jpg")),)
    for text in ("in:/", "in:~", "in:../x", "near:plain.jpg"):
        with pytest.raises(QueryError, match=r"without its path|cannot be named here"):
            parse_query(text, files=False)


def test_terms_from_options_join_the_query(beach: Path) -> None:
    joined = join_terms(str(beach), ["2:a - b", "dog"], ["after:2023", "plain.jpg"])
    assert parse_query(joined).terms == (
        Term(Example(beach)),
        Term(Sentence("a - b"), 2),
        Term(Sentence("dog")),
        Term(Sentence("after:2023"), -1),
        Term(Example(Path("plain.jpg")), -1),
    )
    assert join_terms("", ["dog"], []) == "dog"
    assert read(join_terms("", [], ["dog"])) == [(-1, "dog")]


@PATIENT
@given(VALID_TEXT)
def test_quoted_words_are_taken_as_they_are(text: str) -> None:
    query = quoted(text)
    if text.strip():
        assert parse_query(query, files=False) == Query((Term(Sentence(text)),))
        assert read(f"3:{query} - x") == [(3, text), (-1, "x")]
    else:
        with pytest.raises(QueryError):
            parse_query(query)


PIECES = st.one_of(
    VALID_TEXT,
    st.sampled_from(["+", "-", " ", '"', '""', ":", "2:", "-1.5:", "1e9:", "http://", "~", "/"]),
    st.sampled_from([f"{key}:" for key in FILTER_KEYS]),
    st.sampled_from(["2023", "2023-13", "0000", "59,10", "91,0", "1,2,0", "1,2,nan", "png", ".."]),
)


@PATIENT
@given(st.lists(PIECES, max_size=12).map("".join), st.booleans())
def test_whatever_is_typed_there_is_a_query_or_one_line(text: str, files: bool) -> None:
    try:
        query = parse_query(text, files=files)
    except LeanclipError as refusal:
        assert str(refusal).isprintable()
        return
    assert query.terms or query.filter
    assert all(0 < abs(term.weight) <= 1000 for term in query.terms)


@pytest.mark.parametrize(("words", "cut"), [(0, False), (6, False), (7, True), (100, True)])
def test_the_ignored_end_is_noticed_to_the_word(words: int, cut: bool) -> None:
    assert ignored_end("dog " * words, Tokenizer.clip(context_length=8)) == cut


def test_it_is_noticed_with_the_longest_context_too() -> None:
    tokenizer = Tokenizer.clip(context_length=1024)
    assert not ignored_end("dog " * 1022, tokenizer)
    assert ignored_end("dog " * 1023, tokenizer)
