"""Text files line by line, with the line number that an error message needs."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from retrieval.spec.errors import CorpusError


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield ``(line number from 1, text without surrounding white space)``, blanks left out.

    Args:
        path: A UTF-8 file, with or without byte-order mark; gzip when it ends in ``.gz``.

    Raises:
        CorpusError: The file is missing or unreadable, is not gzip although its name says
            so, or a line is not UTF-8.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            for number, raw in enumerate(stream, start=1):
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if text:
                    yield number, text
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path}:{number}: not UTF-8 ({error.reason} at byte {error.start} of the line); "
            "save the file as UTF-8"
        ) from error
    except FileNotFoundError as error:
        raise CorpusError(f"{path}: no such file") from error
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{path}: cannot be read after line {number}: {error}") from error
