"""From what a bundle or checkpoint says of its text side to the tokenizer."""

from pathlib import Path

from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.text import TextSpec


def open_tokenizer(spec: TextSpec, folder: Path) -> Tokenizer:
    """The tokenizer of a bundle or checkpoint, of whatever kind.

    Args:
        spec: The text side.
        folder: Where its vocabulary file lies.

    Raises:
        BundleError: The vocabulary is missing, damaged, or does not fit ``spec``.
        MissingExtraError: The kind needs a library that is not installed.
    """
    if spec.kind == "sentencepiece":
        from retrieval.language.pieces import SentencePieceTokenizer

        return SentencePieceTokenizer.from_spec(spec, folder)
    return Tokenizer.from_spec(spec, folder)
