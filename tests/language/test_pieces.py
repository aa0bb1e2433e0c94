"""SentencePiece tokenizers: unigram as SigLIP has, byte pairs as SigLIP 2 has."""

import builtins
import json

import numpy as np
import pytest

from export.verify.golden_inputs import SENTENCES
from retrieval.language.opening import open_tokenizer
from retrieval.language.pieces import SentencePieceTokenizer
from retrieval.language.tokenizer import Tokenizer
from retrieval.search.query.parse import ignored_end
from retrieval.spec.errors import BundleError, MissingExtraError, RecipeError
from retrieval.spec.text import TextSpec
from tests.hugging_face import sentencepiece_model

CONTEXT = 12


@pytest.fixture(scope="module")
def models():
    return {kind: sentencepiece_model(kind) for kind in ("unigram", "bpe")}


def make(model, **changes):
    options = {"vocabulary_size": 400, "context_length": CONTEXT, "end_id": 1, "pad_id": 0}
    return SentencePieceTokenizer.from_model(model, **{**options, **changes})


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_ids_end_and_are_padded(models, kind):
    ids = make(models[kind], pad_id=1)("two dogs")
    assert ids.dtype == np.int32
    assert ids.shape == (CONTEXT,)
    end = ids.tolist().index(1)
    assert 0 < end < CONTEXT - 1
    assert set(ids[end:].tolist()) == {1}


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_long_sentence_keeps_its_beginning_and_the_end_id(models, kind):
    tokenizer = make(models[kind])
    whole = tokenizer.with_context(200)("two dogs run over the pavement and through snow")
    ids = tokenizer("two dogs run over the pavement and through snow")
    assert ids[:-1].tolist() == whole[: CONTEXT - 1].tolist()
    assert ids[-1] == 1


def test_the_ignored_end_is_noticed_though_padding_is_the_end_token(models):
    tokenizer = make(models["unigram"], pad_id=1)
    assert not ignored_end("a dog", tokenizer)
    assert ignored_end("a dog " * 20, tokenizer)
    fitting = next(n for n in range(30) if ignored_end("dogs " * (n + 1), tokenizer))
    assert not ignored_end("dogs " * fitting, tokenizer)
    assert list(tokenizer("dogs " * (fitting + 1)))[-1] == 1


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("sentence", [*SENTENCES, "\ud800", "a\x00b", "</s>", "\u2581", "a" * 9999])
def test_any_sentence_has_ids_within_the_vocabulary(models, kind, sentence):
    ids = make(models[kind])(sentence)
    assert (ids >= 0).all()
    assert (ids < 400).all()
    assert 1 in ids


def test_canonical_cleaning_takes_case_and_punctuation_out(models):
    tokenizer = make(models["unigram"])
    plain = tokenizer("two dogs red bicycle")
    assert (tokenizer("  Two, DOGS! (red_bicycle)...") == plain).all()
    assert (make(models["unigram"], cleaning="clip")("two, dogs! red bicycle") != plain).any()


def test_case_stays_where_the_spec_says_so(models):
    kept = make(models["bpe"], lower_case=False, cleaning="clip")
    assert (kept("Dogs") != kept("dogs")).any()


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_decoding_gives_the_words_back(models, kind):
    tokenizer = make(models[kind])
    assert tokenizer.decode(tokenizer("Two dogs run")).strip() == "two dogs run"


def test_pieces_by_id(models):
    tokenizer = make(models["unigram"])
    assert tokenizer.id_of(tokenizer.token(7)) == 7
    assert tokenizer.id_of("no such piece") is None
    with pytest.raises(IndexError, match="token ids go from 0"):
        tokenizer.token(399)


def test_it_is_saved_and_opened_again_with_its_hash(models, tmp_path):
    tokenizer = make(models["bpe"])
    spec = tokenizer.save(tmp_path)
    stored = TextSpec.model_validate_json(spec.model_dump_json())
    assert stored == spec
    assert stored.kind == "sentencepiece"
    again = open_tokenizer(stored, tmp_path)
    assert (again.batch(SENTENCES) == tokenizer.batch(SENTENCES)).all()
    path = tmp_path / spec.vocabulary_file
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(BundleError, match="tokenizer.model is damaged"):
        open_tokenizer(stored, tmp_path)
    path.unlink()
    with pytest.raises(BundleError, match="tokenizer.model is missing"):
        open_tokenizer(stored, tmp_path)


def test_a_file_that_is_no_model_is_refused():
    with pytest.raises(BundleError, match="is not a SentencePiece model"):
        make(b"merges of byte pairs")


def test_more_pieces_than_the_tower_has_tokens_are_refused(models):
    with pytest.raises(BundleError, match="more than the 20 tokens"):
        make(models["bpe"], vocabulary_size=20)


def test_its_vocabulary_cannot_be_cut(models):
    with pytest.raises(RecipeError, match="no byte-pair merges"):
        _ = make(models["bpe"]).merges


def test_without_the_library_the_extra_is_named(models, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.partition(".")[0] == "sentencepiece":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'leanclip\[sentencepiece\]'"):
        make(models["bpe"])


def test_byte_pairs_are_written_as_before_there_was_another_kind():
    written = json.loads(Tokenizer.clip().spec.model_dump_json())
    assert "kind" not in written
    assert TextSpec.model_validate(written).kind == "bpe"
    assert "kind" not in Tokenizer.clip().spec.model_dump(mode="json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocabulary_size": 513}, "at least 514"),
        ({"start_id": None}, "start_id is needed"),
        ({"kind": "wordpiece"}, "'bpe' or 'sentencepiece'"),
    ],
)
def test_a_text_side_that_cannot_be_is_refused(changes, message):
    values = Tokenizer.clip().spec.model_dump() | changes
    with pytest.raises(ValueError, match=message):
        TextSpec.model_validate(values)
