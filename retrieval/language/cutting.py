"""Cut a vocabulary down to the tokens that some sentences need."""

from collections import Counter
from collections.abc import Iterable

from retrieval.language.bytepair import BYTE_SYMBOLS, merge, symbols_of
from retrieval.language.cleaning import END, START, clean, words
from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.errors import CorpusError, RecipeError

_SMALLEST = len(BYTE_SYMBOLS) + 2


def cut_vocabulary(
    tokenizer: Tokenizer,
    sentences: Iterable[str],
    *,
    size: int | None = None,
    context_length: int | None = None,
) -> Tokenizer:
    """A tokenizer with only those merges that tokenising some sentences applies.

    All bytes stay, so that any sentence can be read; one with other words than the sentences
    falls into smaller pieces. Where every applied merge is kept, the sentences fall into the
    same tokens as before: at each step the merge of lowest rank is among those that are kept,
    which keep their order.

    Args:
        tokenizer: Its vocabulary is cut; ids are counted anew.
        sentences: What the new one will be used for; read once.
        size: Most token ids that may be left; merges that are applied most often stay. None
            keeps all that are applied.
        context_length: Ids a sentence becomes; as before when not given.

    Raises:
        RecipeError: ``size`` is below 514, the bytes and the start and end tokens alone.
        CorpusError: The sentences hold no word.
    """
    if size is not None and size < _SMALLEST:
        raise RecipeError(f"a vocabulary has at least {_SMALLEST} tokens, not {size}")
    lower_case = tokenizer.spec.lower_case
    counts = Counter(
        word
        for sentence in sentences
        for word in words(clean(sentence, lower_case=lower_case))
        if word not in (START, END)
    )
    if not counts:
        raise CorpusError("there is no word in the sentences to choose tokens by")
    applied = _applied_merges(tokenizer.merges, counts)
    ranks = {line: rank for rank, line in enumerate(tokenizer.merges)}
    # Whatever makes a token's parts is applied at least as often, and parts are shorter: in
    # this order no token comes before its parts.
    order = sorted(applied, key=lambda line: (-applied[line], len(line), ranks[line]))
    kept = sorted(order if size is None else order[: size - _SMALLEST], key=ranks.__getitem__)
    return Tokenizer.from_merges(
        "".join(f"{line}\n" for line in kept),
        context_length=context_length or tokenizer.context_length,
        lower_case=lower_case,
    )


def _applied_merges(merges: tuple[str, ...], counts: Counter[str]) -> Counter[str]:
    """How often each merge is applied when words are tokenised that occur so often."""
    ranks = {line: rank for rank, line in enumerate(merges)}
    merge_of = {line.replace(" ", ""): line for line in merges}
    tokens: Counter[str] = Counter()
    for word, times in counts.items():
        for piece in merge(symbols_of(word), ranks):
            tokens[piece] += times
    applied: Counter[str] = Counter()
    waiting = list(tokens.items())
    while waiting:
        piece, times = waiting.pop()
        line = merge_of.get(piece)
        if line is not None:
            applied[line] += times
            waiting += [(part, times) for part in line.split(" ")]
    return applied
