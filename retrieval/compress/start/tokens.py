"""Rows of a token embedding for another vocabulary."""

from torch import Tensor

from retrieval.language.bytepair import WORD_END, merge
from retrieval.language.tokenizer import Tokenizer


def translated_rows(table: Tensor, source: Tokenizer, target: Tokenizer) -> Tensor:
    """A row for each token of ``target`` from the embedding of ``source``'s tokens.

    A token that both have keeps its row. Any other starts at the mean of the rows of the
    tokens into which ``source`` splits it.

    Args:
        table: ``(source.vocabulary_size, width)``.
        source: Whose ids count the rows of ``table``.
        target: Whose ids count the rows of the result.

    Returns:
        ``(target.vocabulary_size, width)``.
    """
    id_of = {source.token(id): id for id in range(source.vocabulary_size)}
    ranks = {line: rank for rank, line in enumerate(source.merges)}
    rows = table.new_empty(target.vocabulary_size, table.shape[1])
    for id in range(target.vocabulary_size):
        token = target.token(id)
        pieces = [token] if token in id_of else merge(_symbols(token), ranks)
        rows[id] = table[[id_of[piece] for piece in pieces]].mean(dim=0)
    return rows


def knows_all(source: Tokenizer, target: Tokenizer) -> bool:
    """Whether every token of ``target`` is one of ``source``."""
    known = {source.token(id) for id in range(source.vocabulary_size)}
    return all(target.token(id) in known for id in range(target.vocabulary_size))


def _symbols(token: str) -> list[str]:
    """The bytes of a token as the symbols that every vocabulary has."""
    symbols = list(token.removesuffix(WORD_END))
    if token.endswith(WORD_END):
        symbols[-1] += WORD_END
    return symbols
