"""What a cache is built from, as rows of a photo, a sentence, or both."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Self

from retrieval.compress.data.views import ViewRules, may_mirror
from retrieval.corpora.pairs import CaptionedPhoto, is_pairs_name, read_pairs
from retrieval.corpora.photos import find_photos
from retrieval.corpora.sentences import read_sentences
from retrieval.corpora.shards import has_captions, is_shards_name

Kind = Literal["photos", "sentences", "pairs", "views"]


class Numbered(NamedTuple):
    """One of several random views of a photo."""

    number: int
    may_mirror: bool


class Row(NamedTuple):
    """One row of a cache; photo or sentence is there."""

    photo: Path | None
    sentence: str | None
    view: Numbered | None = None
    """Which view of the photo, where it is not embedded whole."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Inputs for a teacher, in the order in which their embeddings are stored."""

    kind: Kind
    rows: Sequence[Row]
    rules: ViewRules | None = None
    """How far views may go, in a corpus of views."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """A folder of photos, captioned photos (``.jsonl``), or else a file of sentences.

        Webdataset shards are captioned photos when their photos have captions.

        Raises:
            CorpusError: The folder or file is missing, empty or malformed.
        """
        if path.is_dir() or (is_shards_name(path) and not has_captions(path)):
            return cls.of_photos(find_photos(path))
        if is_pairs_name(path):
            return cls.of_pairs(read_pairs(path))
        return cls.of_sentences(read_sentences(path))

    @classmethod
    def of_photos(cls, photos: Sequence[Path]) -> Self:
        """One row a photo."""
        return cls("photos", [Row(photo.absolute(), None) for photo in photos])

    @classmethod
    def of_sentences(cls, sentences: Sequence[str]) -> Self:
        """One row a sentence; repetitions are kept, and embedded once."""
        return cls("sentences", [Row(None, sentence) for sentence in sentences])

    @classmethod
    def of_pairs(cls, pairs: Sequence[CaptionedPhoto]) -> Self:
        """One row a caption; a photo is embedded once, and stored beside each caption."""
        return cls(
            "pairs",
            [Row(pair.image.absolute(), caption) for pair in pairs for caption in pair.captions],
        )

    def views(self, count: int, rules: ViewRules) -> "Corpus":
        """The same photos as ``count`` random views each, without their sentences.

        A photo whose sentences speak of left or right is never mirrored.
        """
        captions: dict[Path, list[str]] = {}
        for photo, sentence, _ in self.rows:
            if photo is not None:
                captions.setdefault(photo, []).extend([sentence] if sentence else [])
        rows = [
            Row(photo, None, Numbered(number, may_mirror(sentences)))
            for photo, sentences in captions.items()
            for number in range(count)
        ]
        return Corpus("views", rows, rules)
