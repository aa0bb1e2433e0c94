"""Parts of a file: a player that seeks asks for the bytes that it needs (RFC 9110, 14.2)."""

import re
from collections.abc import Iterator
from typing import BinaryIO

_ASKED = re.compile(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*", re.ASCII | re.IGNORECASE)
_CHUNK = 1 << 18


def asked_range(header: str | None, size: int) -> range | None:
    """The bytes that a ``Range`` header asks for.

    Args:
        header: Its value. Several ranges at once, which no player needs, count as none.
        size: Bytes of the file.

    Returns:
        None for the whole file, as the standard wants it for what cannot be understood; an
        empty range when the file has no such bytes.
    """
    found = _ASKED.fullmatch(header or "")
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        return range(max(0, size - int(found[2])), size)
    first = int(found[1])
    last = int(found[2]) if found[2] else max(first, size - 1)
    # A range that ends before it begins is malformed.
    return None if last < first else range(first, max(first, min(last + 1, size)))


def pieces(stream: BinaryIO, wanted: range) -> Iterator[bytes]:
    """Exactly these bytes of a file, even if it grows meanwhile; the file is closed."""
    left = len(wanted)
    with stream:
        stream.seek(wanted.start)
        while left and (piece := stream.read(min(_CHUNK, left))):
            left -= len(piece)
            yield piece
