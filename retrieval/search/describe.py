"""Words for photos: which of some labels fit one best (zero-shot classification)."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from retrieval.encode.batches import encode_photos, encode_sentences
from retrieval.encode.protocol import Encoder
from retrieval.spec.defaults import LABEL_TEMPLATE
from retrieval.spec.errors import PhotoError, QueryError


@dataclass(frozen=True, slots=True)
class Label:
    """A label and how well it fits a photo."""

    text: str
    score: float
    """Cosine of the photo and the label's sentence, -1 to 1."""


@dataclass(frozen=True, slots=True)
class Description:
    """A photo and its labels, best first."""

    path: Path
    labels: tuple[Label, ...]


def describe_photos(
    photos: Sequence[Path],
    encoder: Encoder,
    *,
    labels: Sequence[str] | None = None,
    template: str = LABEL_TEMPLATE,
    top: int = 5,
) -> list[Description]:
    """Rank labels for each photo by their cosine.

    Args:
        photos: Files; they need not be indexed.
        encoder: Embeds photos and labels.
        labels: What to choose from; by default some three hundred everyday things.
        template: A sentence with ``{}`` where the label goes.
        top: How many labels each photo gets, at most.

    Raises:
        QueryError: There are no labels, or the template has no place for them.
        PhotoError: A photo cannot be read.
    """
    chosen = everyday_labels() if labels is None else distinct_labels(labels)
    if template.count("{}") != 1:
        raise QueryError(f'the template "{template}" must hold {{}} once, where the label goes')
    if top < 1:
        raise QueryError(f"cannot give the best {top} labels: ask for 1 or more")
    encoded = encode_photos(encoder, photos)
    for why in encoded.unreadable.values():
        raise PhotoError(why)
    sentences = [template.replace("{}", label) for label in chosen]
    scores = encoded.embeddings @ encode_sentences(encoder, sentences).T
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return [
        Description(
            photo, tuple(Label(chosen[place], float(row[place])) for place in places.tolist())
        )
        for photo, row, places in zip(photos, scores, best, strict=True)
    ]


def everyday_labels() -> list[str]:
    """Some three hundred things, places and doings that come with leanclip."""
    text = files("retrieval.search").joinpath("labels.txt").read_text("utf-8")
    return distinct_labels(text.splitlines())


def labels_in(path: Path) -> list[str]:
    """Labels of a text file, one a line; empty lines and those that begin with # are left out.

    Raises:
        QueryError: It is no text in UTF-8, or holds no label.
        OSError: It cannot be read.
    """
    try:
        return distinct_labels(path.read_text("utf-8").splitlines())
    except UnicodeDecodeError as error:
        raise QueryError(f"{path} is no text file in UTF-8; write one label a line") from error
    except QueryError as error:
        raise QueryError(f"{path}: {error}") from error


def distinct_labels(lines: Sequence[str]) -> list[str]:
    """Labels in their order, each once.

    Raises:
        QueryError: There is none.
    """
    stripped = (line.strip() for line in lines)
    labels = list(dict.fromkeys(line for line in stripped if line and not line.startswith("#")))
    if not labels:
        raise QueryError("there are no labels to choose from; write one a line")
    return labels
