"""What `import retrieval` offers to notebooks and scripts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from retrieval.catalog.location import library_home
from retrieval.encode.batches import encode_photos, encode_sentences
from retrieval.encode.load import open_encoder
from retrieval.encode.protocol import Embeddings
from retrieval.hub.names import DEFAULT, remembered_name
from retrieval.search.describe import Label, describe_photos
from retrieval.search.hit import Hits
from retrieval.search.library import Library, remembered_model
from retrieval.spec.defaults import LABEL_TEMPLATE
from retrieval.spec.errors import PhotoError

AnyPath = str | Path


def open_library(
    folder: AnyPath | None = None, *, home: AnyPath | None = None, model: str | None = None
) -> Library:
    """Open the library of this machine, and bring it up to date with a folder.

    The library asks many questions with one model in memory: `Library.search`,
    `Library.similar`, `Library.duplicates`. It may be used in a ``with`` statement, and from
    the thread that opened it.

    Args:
        folder: Photos to index, if any are new; None takes the library as it is.
        home: Folder of the catalog; else ``LEANCLIP_HOME``, else the system's choice.
        model: ``default``, a name that ``leanclip models`` lists or a bundle folder; else the
            model that the library was filled with.

    Raises:
        LeanclipError: The folder, the model or the catalog cannot be used.
    """
    place = library_home(None if home is None else Path(home))
    source = model or remembered_model(place) or DEFAULT
    library = Library.open(place, open_encoder(source), source=remembered_name(source))
    if folder is not None:
        try:
            library.ensure_index(Path(folder))
        except BaseException:
            library.close()
            raise
    return library


def find(
    query: str,
    folder: AnyPath | None = None,
    *,
    top: int = 10,
    cut: float | None = None,
    home: AnyPath | None = None,
    model: str | None = None,
) -> Hits:
    """Photos that fit a query best, best first; in a notebook they show themselves.

    Args:
        query: As of ``leanclip search``: ``"beach + sunset.jpg - people after:2023"``.
        folder: Photos below it, brought up to date first; else all that are indexed.
        top: At most this many.
        cut: 0 to 1: leave out photos below this share of the way from the query's typical
            score to the best one.
        home: As for `open_library`.
        model: As for `open_library`.

    Raises:
        LeanclipError: The query cannot be understood, or nothing is indexed.
    """
    with open_library(folder, home=home, model=model) as library:
        return library.search(query, top=top, cut=cut, folder=_path(folder))


def similar(
    photo: AnyPath,
    folder: AnyPath | None = None,
    *,
    top: int = 10,
    filter: str = "",
    cut: float | None = None,
    home: AnyPath | None = None,
    model: str | None = None,
) -> Hits:
    """Photos that look like one, without the photo itself and its copies.

    Args:
        photo: A file, indexed or not.
        folder: As for `find`, like all that follow.
        top: At most this many.
        filter: Only photos that fulfil it, as in a query: ``after:2023 in:holiday``.
        cut: As for `find`.
        home: As for `open_library`.
        model: As for `open_library`.

    Raises:
        LeanclipError: The photo cannot be read, the filter cannot be understood, or nothing is
            indexed.
    """
    with open_library(folder, home=home, model=model) as library:
        return library.similar(Path(photo), top=top, folder=_path(folder), filter=filter, cut=cut)


def describe(
    photo: AnyPath,
    labels: Sequence[str] | None = None,
    *,
    template: str = LABEL_TEMPLATE,
    top: int = 5,
    model: str = DEFAULT,
) -> list[Label]:
    """The labels that fit a photo best, best first.

    Args:
        photo: A file.
        labels: What to choose from; by default some three hundred everyday things.
        template: A sentence with ``{}`` where the label goes.
        top: At most this many.
        model: ``default``, a name that ``leanclip models`` lists or a bundle folder.

    Raises:
        LeanclipError: The photo or the model cannot be read, or there are no labels.
    """
    [found] = describe_photos(
        [Path(photo).expanduser()], open_encoder(model), labels=labels, template=template, top=top
    )
    return list(found.labels)


def embed(items: Sequence[str | Path], *, model: str = DEFAULT) -> Embeddings:
    """Vectors of sentences and photos, float32 ``(len(items), dim)``, of length one.

    The cosine of two of them is their product: ``vectors @ vectors.T``.

    Args:
        items: Sentences as text, photos as `Path`.
        model: ``default``, a name that ``leanclip models`` lists or a bundle folder.

    Raises:
        LeanclipError: A photo or the model cannot be read.
    """
    encoder = open_encoder(model)
    vectors = np.empty((len(items), encoder.dim), np.float32)
    sentences = [place for place, item in enumerate(items) if isinstance(item, str)]
    photos = [place for place, item in enumerate(items) if not isinstance(item, str)]
    vectors[sentences] = encode_sentences(encoder, [str(items[place]) for place in sentences])
    encoded = encode_photos(encoder, [Path(items[place]).expanduser() for place in photos])
    for why in encoded.unreadable.values():
        raise PhotoError(why)
    vectors[photos] = encoded.embeddings
    return vectors


def _path(folder: AnyPath | None) -> Path | None:
    return None if folder is None else Path(folder)
