"""What a tokenizer does beyond agreeing with open_clip."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.language.bytepair import merge, symbols_of
from retrieval.language.cleaning import END, START, clean, words
from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.errors import BundleError
from retrieval.spec.files import sha256_file

CLIP = Tokenizer.clip()
SENTENCE = "A dog isn't on the pavement."


def quadratic_merge(symbols: list[str], ranks: dict[str, int]) -> list[str]:
    """The textbook loop: look for the lowest pair, join it everywhere, start again."""
    while pairs := [p for p in zip(symbols, symbols[1:], strict=False) if " ".join(p) in ranks]:
        lowest = min(pairs, key=lambda pair: ranks[" ".join(pair)])
        joined: list[str] = []
        while symbols:
            width = 2 if tuple(symbols[:2]) == lowest else 1
            joined.append("".join(symbols[:width]))
            symbols = symbols[width:]
        symbols = joined
    return symbols


SYMBOLS = st.sampled_from(["a", "b", "aa", "ab", "ba", "aab", "aba", "abab"])
RANKS = st.lists(st.tuples(SYMBOLS, SYMBOLS).map(" ".join), unique=True, max_size=20).map(
    lambda pairs: {pair: rank for rank, pair in enumerate(pairs)}
)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=24), RANKS)
def test_merging_equals_the_textbook_loop(symbols: list[str], ranks: dict[str, int]) -> None:
    assert merge(symbols, ranks) == quadratic_merge(symbols, ranks)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_decoding_gives_the_cleaned_words(sentence: str) -> None:
    expected = list(words(clean(sentence)))
    if START in expected or END in expected:
        return
    assert CLIP.decode(CLIP.with_context(1024)(sentence)) == " ".join(expected)


def test_decoding_stops_at_the_end_and_skips_padding() -> None:
    assert CLIP.decode(CLIP("Hello, dogs!")) == "hello , dogs !"
    assert CLIP.decode(CLIP("")) == ""
    assert CLIP.decode(CLIP.with_context(4)("two dogs running")) == "two dogs"


def test_tokens_by_id() -> None:
    assert CLIP.token(CLIP("pavement")[1]) == "pavement</w>"
    assert CLIP.token(49406) == START
    for id in (-1, 49408):
        with pytest.raises(IndexError, match="0 to 49407"):
            CLIP.token(id)


def test_a_word_of_a_hundred_thousand_letters_ends() -> None:
    ids = CLIP("qj" * 50_000)
    assert ids[0] == CLIP.spec.start_id
    assert ids[-1] == CLIP.spec.end_id
    assert merge(symbols_of("dog" * 1000), {}) == symbols_of("dog" * 1000)


def test_case_is_kept_when_the_spec_says_so() -> None:
    cased = Tokenizer.from_merges("", context_length=16, lower_case=False)
    assert cased.decode(cased("A Dog")) == "A Dog"


def test_an_id_of_a_long_running_process_does_not_depend_on_its_cache() -> None:
    tokenizer = Tokenizer.clip()
    expected = tokenizer(SENTENCE).tolist()
    for start in range(0, 70_000, 70):
        tokenizer(" ".join(f"w{number}x" for number in range(start, start + 70)))
    assert tokenizer(SENTENCE).tolist() == expected


def test_saved_and_read_again(tmp_path: Path) -> None:
    spec = CLIP.with_context(32).save(tmp_path)
    again = Tokenizer.from_spec(spec, tmp_path)
    assert (tmp_path / "merges.txt").read_text("utf-8").startswith("i n\nt h\n")
    assert again.spec == spec
    assert again(SENTENCE).tolist() == CLIP(SENTENCE)[:32].tolist()
    assert pickle.loads(pickle.dumps(again))(SENTENCE).tolist() == again(SENTENCE).tolist()


def test_a_damaged_vocabulary_is_refused(tmp_path: Path) -> None:
    spec = CLIP.save(tmp_path)
    path = tmp_path / "merges.txt"
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=r"merges\.txt is damaged"):
        Tokenizer.from_spec(spec, tmp_path)
    path.unlink()
    with pytest.raises(BundleError, match=r"merges\.txt is missing"):
        Tokenizer.from_spec(spec, tmp_path)


@pytest.mark.parametrize("merges", ["a\n", "a b c\n", "a b\n\nc d\n", "a b", "a\tb\n", " a b\n"])
def test_a_file_that_is_no_list_of_merges_is_refused(tmp_path: Path, merges: str) -> None:
    spec = Tokenizer.from_merges(merges, context_length=8).save(tmp_path)
    with pytest.raises(BundleError, match="each line must hold two symbols"):
        Tokenizer.from_spec(spec, tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "merges.txt"
    path.write_bytes(b"\xff \xfe\n")
    spec = CLIP.spec.model_copy(update={"vocabulary_sha256": sha256_file(path)})
    with pytest.raises(BundleError, match="cannot be read"):
        Tokenizer.from_spec(spec, tmp_path)


@pytest.mark.parametrize("wrong", [{"vocabulary_size": 600}, {"start_id": 3}, {"pad_id": 515}])
def test_ids_that_do_not_fit_the_vocabulary_are_refused(
    tmp_path: Path, wrong: dict[str, int]
) -> None:
    spec = Tokenizer.from_merges("a b\n", context_length=8).save(tmp_path)
    with pytest.raises(BundleError, match="515 tokens"):
        Tokenizer.from_spec(spec.model_copy(update=wrong), tmp_path)


def test_searching_words_loads_neither_torch_nor_what_it_can_do_without() -> None:
    code = (
        "import sys, retrieval.language.tokenizer as t\n"
        "tokenizer = t.Tokenizer.clip()\n"
        f"tokenizer({SENTENCE!r})\n"
        "print(*sorted({'torch', 'ftfy', 'regex', 'open_clip'} & set(sys.modules)))\n"
        "tokenizer('caf\\u00e9 &amp; \\U0001f436')\n"
        "print(*sorted({'torch', 'ftfy', 'regex', 'open_clip'} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines() == ["", "ftfy regex"]
