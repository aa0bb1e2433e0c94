r"""Finds which captions describe the same photo in a file that names no photos.

Flickr30k's sentences circulate as plain lists of lines. Such a list goes over all photos
once, then over all of them again for the second caption, and so on, with a few lines
missing here and there. So the passes run side by side, and aligning them like two versions
of a text finds each photo's captions again: similarity by rare words scores two lines, and
dynamic programming finds the best order-keeping match (Needleman and Wunsch, 1970).

    python data/recipes/group_captions.py data/downloads/sentences/flickr30k_train.txt.gz \
        data/downloads/flickr30k_captions.jsonl
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor

from retrieval.corpora.sentences import read_sentences
from retrieval.spec.errors import CorpusError, LeanclipError
from retrieval.spec.files import write_text

_GAP = 0.02
"""Cost of a line without a counterpart: just above the similarity of unrelated lines."""
_AT_ONCE = 500


def main(
    sentences: Annotated[Path, typer.Argument(help="Text, one caption a line.")],
    out: Annotated[Path, typer.Argument(help="JSON lines to write.")],
    passes: Annotated[int, typer.Option(min=2, help="Captions of each photo.")] = 5,
    drift: Annotated[int, typer.Option(min=1, help="Lines that a pass may lag behind.")] = 400,
) -> None:
    """Group the captions of photos that a list of captions goes over several times."""
    try:
        lines = read_sentences(sentences)
        groups = group_captions(lines, passes=passes, drift=drift)
    except LeanclipError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    write_text(out, "".join(json.dumps({"captions": group}) + "\n" for group in groups))
    captions = sum(len(group) for group in groups)
    typer.echo(f"{len(groups):,} groups of {captions:,} of {len(lines):,} captions: {out}")


def group_captions(lines: list[str], *, passes: int, drift: int) -> list[list[str]]:
    """The captions of each photo, two or more.

    Args:
        lines: All captions, pass after pass.
        passes: How often the lines go over the photos.
        drift: How many lines a pass may lag behind another at most.

    Raises:
        CorpusError: There are too few lines.
    """
    if len(lines) < 2 * passes:
        raise CorpusError(f"{len(lines)} lines are too few for {passes} passes")
    vectors = _rare_words(lines)
    bounds = [*_starts(vectors, len(lines), passes, drift), len(lines)]
    parts = [range(first, last) for first, last in zip(bounds, bounds[1:], strict=False)]
    # The longest pass lacks the fewest photos.
    longest = max(parts, key=len)
    groups = {line: [lines[line]] for line in longest}
    for part in parts:
        if part != longest:
            found = _aligned(_rows(vectors, longest), _rows(vectors, part), drift)
            for line, other in zip(longest, found, strict=True):
                if other >= 0:
                    groups[line].append(lines[part[other]])
    return [group for group in groups.values() if len(group) > 1]


def _rare_words(lines: list[str]) -> Tensor:
    """Words by rarity, each line of length one: sparse ``(lines, words)``."""
    words = [set(re.findall(r"[a-z0-9]+", line.lower())) for line in lines]
    frequency = Counter(word for some in words for word in some)
    known = {word: number for number, word in enumerate(frequency)}
    rows, columns, values = [], [], []
    for row, some in enumerate(words):
        rarity = [np.log(len(lines) / frequency[word]) for word in some]
        length = np.linalg.norm(rarity) or 1.0
        rows += [row] * len(some)
        columns += [known[word] for word in some]
        values += [value / length for value in rarity]
    size = (len(lines), len(known))
    indices = torch.tensor([rows, columns])
    coo = torch.sparse_coo_tensor(indices, torch.tensor(values), size, check_invariants=False)
    return coo.float().coalesce()


def _rows(vectors: Tensor, lines: range) -> Tensor:
    numbers = torch.arange(lines.start, lines.stop)
    return vectors.index_select(0, numbers).coalesce()


def _similarity(vectors: Tensor, others: Tensor) -> NDArray[np.float32]:
    """``(vectors, others)``; cosines."""
    product = torch.sparse.mm(vectors, others.to_dense().T)
    return np.asarray(product, np.float32)


def _starts(vectors: Tensor, count: int, passes: int, drift: int) -> list[int]:
    """Line with which each pass begins: where lines best repeat those of the first pass."""
    span = max(1, min(_AT_ONCE, count // passes // 2))
    begin = _rows(vectors, range(span))
    starts = [0]
    for number in range(1, passes):
        guess = round(number * count / passes)
        first, last = max(1, guess - drift), min(count - span, guess + drift)
        found = _similarity(begin, _rows(vectors, range(first, last + span)))
        scores = [found.diagonal(shift)[:span].sum() for shift in range(last - first + 1)]
        starts.append(first + int(np.argmax(scores)))
    return starts


def _aligned(lines: Tensor, others: Tensor, drift: int) -> NDArray[np.int64]:
    """The counterpart of each line among the others, ``(lines,)``; -1 where it has none.

    Only pairs within ``drift`` of the diagonal are looked at. Row by row: a line goes with its
    counterpart, is left out, or leaves others out; the last is a running maximum.
    """
    count, width = lines.shape[0], 2 * drift + 1
    first = [round(row * others.shape[0] / count) - drift for row in range(count)]
    steps = np.arange(width)
    score = -_GAP * np.maximum(steps + first[0] + 1, 0.0)
    before = first[0]
    choice = np.zeros((count, width), np.int8)
    for start in range(0, count, _AT_ONCE):
        rows = range(start, min(count, start + _AT_ONCE))
        low = max(0, first[rows[0]])
        high = min(others.shape[0], first[rows[-1]] + width)
        found = _similarity(_rows(lines, rows), _rows(others, range(low, high)))
        for row in rows:
            columns = steps + first[row]
            inside = (columns >= low) & (columns < high)
            gain = np.full(width, -np.inf)
            gain[inside] = found[row - start, columns[inside] - low]
            move = first[row] - before
            matched = _moved(score, move - 1) + gain
            skipped = _moved(score, move) - _GAP
            best = np.maximum(matched, skipped)
            score = np.maximum.accumulate(best + _GAP * steps) - _GAP * steps
            choice[row] = np.where(score > best + 1e-9, 2, matched < skipped)
            before = first[row]
    return _traced(choice, first, int(np.argmax(score)))


def _moved(score: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    """Scores seen from a band that lies ``by`` columns further on."""
    moved = np.full(len(score), -np.inf)
    if by >= 0:
        moved[: len(score) - by] = score[by:]
    else:
        moved[-by:] = score[:by]
    return moved


def _traced(choice: NDArray[np.int8], first: list[int], last: int) -> NDArray[np.int64]:
    """Walk the choices back from the best end."""
    found = np.full(len(choice), -1)
    row, column = len(choice) - 1, last
    while row >= 0:
        if choice[row, column] == 2:
            column -= 1
            continue
        at = column + first[row]
        if choice[row, column] == 0:
            found[row] = at
            at -= 1
        row -= 1
        column = at - first[row]
    return found


if __name__ == "__main__":
    typer.run(main)
