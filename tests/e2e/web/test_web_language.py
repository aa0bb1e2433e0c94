"""The shell's tokenizer is Python's: the same ids for whatever people paste."""

import random
from html.entities import html5

import ftfy.bad_codecs  # noqa: F401  (registers the sloppy encodings)
import pytest
from playwright.sync_api import Page

from export.verify.golden_inputs import SENTENCES
from retrieval.hub.names import default_bundle
from retrieval.language.cleaning import clean
from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.bundle import read_bundle
from tests.e2e.web.web_tab import WEB, load_module

BY_HAND = (
    *SENTENCES,
    "pavement pavements PAVEMENT",
    "word " * 200,
    "x" * 5_000,
    "I'll we've she'd it's they're don't I'm 'S 'T O'Clock",
    "<start_of_text>a dog<end_of_text> <END_OF_TEXT>",
    "Pok\u00e9mon na\u00efve \u00c5ngstr\u00f6m S\u00e3o Paulo \u0141\u00f3d\u017a",
    "Stra\u00dfe \u0130stanbul \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
    "\U0001f1e9\U0001f1ea\U0001f468\U0001f3fd\u200d\U0001f680",
    "\u2764\ufe0f\u200d\U0001f525 1\ufe0f\u20e3",
    "&eacute;&EACUTE;&Eacute &notit; &#233;&#xe9; &#128; &#0; &#xd800;",
    "&bogus; &amp;lt;b&amp;gt; & &;",
    "<b>&eacute;</b>\n&eacute; after a tag",
    "\ufeff\u00a0\u2003a\u3000dog\u2028\u2029\x0b\x0c\x1c\x85end",
    "\uff34\uff37\uff2f \uff8a\uff9f\uff6f\uff70 \ufb01sh \ufb05 \u0133s \u01c4 \u0149",
    "\x1b[31mred\x1b[0m \x07bell \x7f",
    "caf\u0065\u0301 \u1e9b\u0323 \u212b \uac00\u1100\u1161",
    "100% $5 #1 a@b.c ... --- !!! ???",
)
BLOCKS = (
    (0x20, 0x7F), (0xA1, 0xC0), (0xC0, 0x250), (0x370, 0x500), (0x5D0, 0x5EB), (0x620, 0x64B),
    (0x900, 0x940), (0x1E00, 0x1F00), (0x2010, 0x2060), (0x2190, 0x2300), (0x3040, 0x3100),
    (0x4E00, 0x4F00), (0xAC00, 0xAD00), (0xFB00, 0xFB07), (0xFF01, 0xFFBF), (0x1F300, 0x1F650),
)  # fmt: skip


@pytest.fixture(scope="module")
def python() -> Tokenizer:
    folder = default_bundle()
    return Tokenizer.from_spec(read_bundle(folder).text, folder)


def drawn_sentences(count: int) -> list[str]:
    """Words of letters from several blocks, with HTML entities; some of them garbled."""
    chance = random.Random(4)
    names = sorted(html5)
    sentences = []
    for _ in range(count):
        words = []
        for _ in range(chance.randint(1, 8)):
            block = chance.choice(BLOCKS)
            letters = [chr(chance.randrange(*block)) for _ in range(chance.randint(1, 6))]
            words.append("".join(letters) + chance.choice(("", "", "s", "'s", "!", "7")))
            if chance.random() < 0.2:
                words.append("&" + chance.choice(names))
        sentence = chance.choice((" ", " ", "  ", "\t")).join(words)
        sentences.append(sentence)
        # What a program makes of it that reads it in the wrong encoding.
        if chance.random() < 0.3:
            page = chance.choice(("latin-1", "sloppy-windows-1252", "sloppy-windows-1251"))
            sentences.append(sentence.encode().decode(page))
    return sentences


def in_browser(page: Page, sentences: list[str], lower_case: bool = True) -> list[list[object]]:
    found: list[list[object]] = page.evaluate(
        """async ([sentences, lower]) => {
          const { readBundle } = await import("/src/spec/bundle.js");
          const { UrlSource } = await import("/src/spec/source.js");
          const { Tokenizer } = await import("/src/language/tokenizer.js");
          const { clean } = await import("/src/language/cleaning.js");
          const source = new UrlSource("/bundle/", location.href);
          const { text } = await readBundle(source);
          const tokenizer = await Tokenizer.open(source, { ...text, lower_case: lower });
          return sentences.map((sentence) => [
            clean(sentence, { lowerCase: lower }), Array.from(tokenizer.encode(sentence))]);
        }""",
        [sentences, lower_case],
    )
    return found


def test_ids_equal_those_of_python(modules: Page, python: Tokenizer):
    sentences = [*BY_HAND, *drawn_sentences(600)]
    for sentence, found in zip(sentences, in_browser(modules, sentences), strict=True):
        assert found == [clean(sentence), python(sentence).tolist()], sentence


def test_capitals_stay_where_the_bundle_says_so(modules: Page, python: Tokenizer):
    merges = "".join(f"{line}\n" for line in python.merges)
    cased = Tokenizer.from_merges(merges, context_length=python.context_length, lower_case=False)
    sentences = list(BY_HAND)
    for sentence, found in zip(sentences, in_browser(modules, sentences, False), strict=True):
        assert found == [clean(sentence, lower_case=False), cased(sentence).tolist()], sentence


@pytest.mark.parametrize(
    "good",
    [
        "caf\u00e9 cr\u00e8me",
        "the dog\u2019s \u201cbone\u201d \u2013 big\u2026",
        "\u00bfqu\u00e9 tal, se\u00f1or?",
        "gr\u00fc\u00dfe \U0001f600 \u2764",
    ],
)
def test_utf8_that_was_read_as_windows_1252_is_mended(modules: Page, good: str):
    garbled = good.encode().decode("sloppy-windows-1252")
    twice = garbled.encode().decode("sloppy-windows-1252")
    for [found, _], sentence in zip(
        in_browser(modules, [garbled, twice]), (garbled, twice), strict=True
    ):
        assert found == clean(sentence) == clean(good)


def test_a_long_word_ends(modules: Page):
    [[_, ids]] = in_browser(modules, ["lorem" * 20_000])
    assert isinstance(ids, list) and ids[-1] == ids[0] + 1


def test_the_tables_are_pythons():
    for path, text in load_module(WEB / "write_tables.py").tables().items():
        assert path.read_text("utf-8") == text, "run python apps/web/write_tables.py"
