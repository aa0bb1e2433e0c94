"""The app's token ids are those that the model was trained with, whatever is written."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from export.verify.golden_inputs import SENTENCES
from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.bundle import read_bundle
from tests.e2e.android.android_core import Core

BUNDLE = Path("data/default").resolve()
HANDWRITTEN = Path("data/sentences/handwritten.txt").resolve()
FRAGMENTS = [
    *("pavement", "Two dogs", "don't", "I'LL", "they've", "rock'n'roll", "'s", "o'\u017f", "2024"),
    *("&amp;", "&amp;lt;", "&amp;amp;gt;", "&EACUTE;", "&eacute", "&#39;", "&#xD800;", "&#10;"),
    *("&nbsp;", "&", "<", ">", "<b>", "&#0;", "&notanentity;", "&notit;", "&#x1F436", "&#150;"),
    *("&#1114112;", "&#xFFFE;", "&#12;", "&#x;", "&;", "&#13;", "&acE;", "&BUNDESSTRASSE;"),
    *(" ", "   ", "\t", "\n", "\r\n", "\u2028", "\u00a0", "\x0b", "\x0c", "\x1c", "\x85"),
    *("\x00", "\x07", "\x1b[31m", "\x1b", "\x7f", "\ufeff", "\u200b", "\ud800", "\ufffe"),
    *("caf\u00e9", "cafe\u0301", "\u201cquoted\u201d", "\ufb01sh", "\uff26\uff35\uff2c\uff2c"),
    *("\u0130stanbul", "\u039f\u0394\u039f\u03a3", "\u03a3", "A\u03a3'", "\u212a", "'\u212a"),
    *("\U0001f436", "\U0001f468\u200d\U0001f469", "\U0001f1e9\U0001f1ea", "\u2603\ufe0f"),
    *("\u72ac", "\u0441\u043e\u0431\u0430\u043a\u0430", "\u0643\u0644\u0628", "\u0915\u0941"),
    *("\u0660", "\u00bd", "\u017f", "\u00df", "\u01c4", "_", "...", "!?", "</w>", "\u3000"),
    *("<start_of_text>", "<end_of_text>", "<START_OF_TEXT>", "<\u017ftart_of_text>", "a" * 90),
]
BROKEN = [
    *(
        "schÃ¶n",
        "voilÃ le travail",
        "â€œquotedâ€\x9d",
        "Ã la mode",
        "lâ€™Ã©tÃ©",
        "â€ť",
        "Ð¿Ñ€Ð¸Ð²ÐµÑ‚",
    ),
    *("ð\x9f\x90¶", "ðŸ¶ dog", "l’été".encode().decode("latin-1"), "RÃ©union â€“ cafÃ©"),
    *("\xed\xa0\xbd\xed\xb0\xb6", "Î‘Î¸Î®Î½Î±", "Å¾luÅ¥ouÄkÃ½", "â€\ufffd", "naÃ¯ve \x85 ok"),
    *("вЂњРїСЂРёРІРµС‚вЂќ", "√©t√©", "├⌐t├⌐", "100 â‚¬", "Ãƒ\xa0 bientÃ´t", "\x93hi\x94", "Â£20"),
]
ANYTHING = st.one_of(
    st.lists(st.sampled_from([*FRAGMENTS, *BROKEN]), max_size=12).map("".join),
    st.lists(st.sampled_from([*FRAGMENTS, *BROKEN]), max_size=30).map(" ".join),
    st.text(st.characters(max_codepoint=127), max_size=60),
    st.text(st.characters(max_codepoint=0x17F), max_size=40),
    st.text(st.characters(exclude_categories=()), max_size=40),
    st.text(max_size=30).map(lambda text: text.encode("utf-8").decode("cp1252", "replace")),
    st.text(max_size=30).map(lambda text: text.encode("utf-8").decode("latin-1")),
)


@pytest.fixture
def reader(core: Core) -> Core:
    core("bundle", folder=str(BUNDLE))
    return core


def expected(sentences: list[str]) -> list[list[int]]:
    tokenizer = Tokenizer.from_spec(read_bundle(BUNDLE).text, BUNDLE)
    ids: list[list[int]] = tokenizer.batch(sentences).tolist()
    return ids


def check(core: Core, sentences: list[str]) -> None:
    found = core("tokens", sentences=sentences)
    for sentence, row, right in zip(sentences, found, expected(sentences), strict=True):
        assert row == right, repr(sentence)


def test_sentences_of_the_golden_file_and_real_ones(reader: Core) -> None:
    real = HANDWRITTEN.read_text("utf-8").splitlines()
    assert len(real) > 100
    check(reader, [*SENTENCES, *real])


def test_awkward_fragments(reader: Core) -> None:
    parts = ["", *FRAGMENTS, *BROKEN]
    check(reader, [*parts, *(f"a {part} dog{part}" for part in parts)])


def test_every_character_by_itself_and_in_a_word(reader: Core) -> None:
    # Beyond these planes there are only CJK ideographs, tags and private characters.
    codes = [*range(1, 0xD800), *range(0xE000, 0x1FC00)]
    for start in range(0, len(codes), 16_000):
        check(reader, [f"a{chr(code)}b {chr(code)}" for code in codes[start : start + 16_000]])


def test_every_html_entity(reader: Core) -> None:
    from html.entities import html5

    names = sorted(html5)
    shouted = [name.upper() for name in names]
    check(reader, [f"x &{name} &{name}y" for name in [*names, *shouted]])
    check(reader, [f"&#{code} &#x{code:x};" for code in range(0x300)])


def test_a_word_of_a_hundred_thousand_letters_ends(reader: Core) -> None:
    check(reader, ["ab" * 50_000])


@seed(1)
@settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sentences=st.lists(ANYTHING, min_size=20, max_size=40))
def test_any_sentence(reader: Core, sentences: list[str]) -> None:
    check(reader, sentences)
