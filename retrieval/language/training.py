"""Learn a small vocabulary from the user's own sentences.

The token embedding is most of a small text tower's bytes, so a vocabulary of 8,192 instead
of 49,408 makes the tower several times smaller. The trainer of the ``tokenizers`` package
breaks ties between equally frequent pairs in an order that differs from run to run; this
one gives the same merges for the same sentences always.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable

from retrieval.language.bytepair import BYTE_SYMBOLS, symbols_of
from retrieval.language.cleaning import END, START, clean, words
from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.errors import CorpusError, RecipeError

Pair = tuple[str, str]

_SMALLEST = len(BYTE_SYMBOLS) + 2


def train_vocabulary(sentences: Iterable[str], *, size: int, context_length: int) -> Tokenizer:
    """Byte-pair merges of the most frequent neighbours (Sennrich et al. 2016, algorithm 1).

    Args:
        sentences: What to learn from; read once.
        size: Wanted number of token ids. There are fewer when the sentences hold fewer
            pairs that occur twice.
        context_length: Ids a sentence becomes.

    Raises:
        RecipeError: ``size`` is below 514, the bytes and the start and end tokens alone.
        CorpusError: The sentences hold no word.
    """
    if size < _SMALLEST:
        raise RecipeError(f"a vocabulary has at least {_SMALLEST} tokens, not {size}")
    counts = Counter(word for sentence in sentences for word in words(clean(sentence)))
    for special in (START, END):
        counts.pop(special, None)
    if not counts:
        raise CorpusError("there is no word in the sentences to learn a vocabulary from")
    pairs = _Pairs(counts)
    known = set(BYTE_SYMBOLS)
    merges: list[str] = []
    while len(merges) < size - _SMALLEST and (pair := pairs.most_frequent()) is not None:
        joined = "".join(pair)
        # Another way to write a token that exists already would leave an id unused.
        if joined not in known:
            known.add(joined)
            merges.append(f"{pair[0]} {pair[1]}\n")
            pairs.join(pair)
    return Tokenizer.from_merges("".join(merges), context_length=context_length)


class _Pairs:
    """Neighbouring symbols in the words of a corpus, with how often each pair occurs.

    A join visits only the words that hold the pair. The heap keeps stale entries, which are
    recognised by their count.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._words = [symbols_of(word) for word in counts]
        self._times = list(counts.values())
        self._counts: Counter[Pair] = Counter()
        self._places: defaultdict[Pair, set[int]] = defaultdict(set)
        for place in range(len(self._words)):
            self._count(place, sign=1)
        self._heap = [(-count, pair) for pair, count in self._counts.items()]
        heapq.heapify(self._heap)

    def most_frequent(self) -> Pair | None:
        """Take out the most frequent pair, the first in the alphabet among equals."""
        while self._heap:
            count, pair = heapq.heappop(self._heap)
            if -count == self._counts[pair] and -count > 1:
                return pair
        return None

    def join(self, pair: Pair) -> None:
        """Make one symbol of the pair wherever it occurs."""
        changed: set[Pair] = set()
        for place in self._places.pop(pair, set()):
            changed |= self._count(place, sign=-1)
            self._words[place] = _joined(self._words[place], pair)
            changed |= self._count(place, sign=1)
        for other in changed - {pair}:
            heapq.heappush(self._heap, (-self._counts[other], other))

    def _count(self, place: int, *, sign: int) -> set[Pair]:
        symbols = self._words[place]
        found = list(zip(symbols, symbols[1:], strict=False))
        for pair in found:
            self._counts[pair] += sign * self._times[place]
            if sign > 0:
                self._places[pair].add(place)
        return set(found)


def _joined(symbols: list[str], pair: Pair) -> list[str]:
    result: list[str] = []
    for symbol in symbols:
        if result and (result[-1], symbol) == pair:
            result[-1] += symbol
        else:
            result.append(symbol)
    return result
