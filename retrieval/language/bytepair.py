"""Byte-pair encoding of one word (Sennrich et al. 2016, byte-level as in GPT-2)."""

import heapq
from collections.abc import Mapping

WORD_END = "</w>"


def _byte_order() -> list[int]:
    """Bytes in the order of their ids: those with a printable Latin-1 character first."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return printable + sorted(set(range(256)) - set(printable))


def _byte_names() -> dict[int, str]:
    """One visible character per byte: itself where printable, else from U+0100 on."""
    printable = 256 - 68
    order = _byte_order()
    names = {byte: chr(byte) for byte in order[:printable]}
    names |= {byte: chr(256 + place) for place, byte in enumerate(order[printable:])}
    return names


BYTE_NAMES = _byte_names()
BYTE_SYMBOLS: tuple[str, ...] = (
    *BYTE_NAMES.values(),
    *(name + WORD_END for name in BYTE_NAMES.values()),
)
"""The first 512 entries of every vocabulary: bytes inside a word, bytes that end one."""

_BYTES = {name: byte for byte, name in BYTE_NAMES.items()}


def symbols_of(word: str) -> list[str]:
    """The bytes of a non-empty word as visible characters, the last one marked as its end."""
    symbols = list(word.encode().decode("latin-1").translate(BYTE_NAMES))
    symbols[-1] += WORD_END
    return symbols


def text_of(pieces: str) -> str:
    """Undo `symbols_of` for joined pieces, word ends as spaces; broken UTF-8 as U+FFFD."""
    parts = pieces.split(WORD_END)
    return " ".join(bytes(_BYTES[name] for name in part).decode(errors="replace") for part in parts)


def merge(symbols: list[str], ranks: Mapping[str, int]) -> list[str]:
    """Join neighbours, the pair of lowest rank first, until no known pair is left.

    All places of one pair are joined, left to right, before the next pair is looked for,
    as in the original. A heap of places and a linked list keep this at
    O(n log n), so that a word of a million letters ends too.

    Args:
        symbols: Symbols of one word, from `symbols_of`.
        ranks: Priority of each pair, keyed by both symbols with a space between.
    """
    pieces: list[str | None] = list(symbols)
    size = len(pieces)
    before, after = list(range(-1, size - 1)), list(range(1, size + 1))

    def rank_at(left: int) -> int | None:
        if left < 0 or after[left] >= size or pieces[left] is None:
            return None
        return ranks.get(f"{pieces[left]} {pieces[after[left]]}")

    heap = [(rank, left) for left in range(size) if (rank := rank_at(left)) is not None]
    heapq.heapify(heap)
    while heap:
        lowest = heap[0][0]
        places = []
        while heap and heap[0][0] == lowest:
            places.append(heapq.heappop(heap)[1])
        for left in places:
            if rank_at(left) != lowest:
                continue
            right = after[left]
            pieces[left] = f"{pieces[left]}{pieces[right]}"
            pieces[right] = None
            after[left] = after[right]
            if after[left] < size:
                before[after[left]] = left
            for place in (before[left], left):
                if (rank := rank_at(place)) is not None:
                    heapq.heappush(heap, (rank, place))
    return [piece for piece in pieces if piece is not None]
