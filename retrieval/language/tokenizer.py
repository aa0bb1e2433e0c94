"""From sentences to the token ids that a text tower takes, without torch."""

import copy
import gzip
import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrieval.language.bytepair import BYTE_SYMBOLS, merge, symbols_of, text_of
from retrieval.language.cleaning import END, START, clean, words
from retrieval.spec.bundle import check_vocabulary
from retrieval.spec.errors import BundleError
from retrieval.spec.files import replacing
from retrieval.spec.text import TextSpec

_CLIP_MERGES = "clip_merges.txt.gz"
_MERGES_FILE = re.compile(r"(?:[^\s]+ [^\s]+\n)*")
_CACHED_WORDS = 65_536
_CACHED_LENGTH = 64


class Tokenizer:
    """CLIP's byte-pair encoding over any vocabulary of its layout.

    Ids count the 256 byte symbols, the same with end-of-word mark, the merges in order of
    priority, then start and end. Every byte has a symbol, so no sentence has an unknown
    token. With `clip`, ids equal those of OpenAI's CLIP and of open_clip.

    Example:
        >>> Tokenizer.clip(context_length=6)("Two dogs")
        array([49406,  1237,  3255, 49407,     0,     0], dtype=int32)
    """

    def __init__(self, merges: str, spec: TextSpec) -> None:
        lines = merges.splitlines()
        self.spec = spec
        self._merges = merges
        self._ranks = dict(zip(lines, range(len(lines)), strict=True))
        self._pieces = [*BYTE_SYMBOLS, *merges.replace(" ", "").splitlines(), START, END]
        self._words: dict[str, tuple[int, ...]] = {}
        self._special = {START: (len(self._pieces) - 2,), END: (len(self._pieces) - 1,)}

    @classmethod
    def clip(cls, context_length: int = 77) -> Self:
        """OpenAI's vocabulary of 49,408 tokens, which the package carries."""
        packed = files("retrieval.language").joinpath(_CLIP_MERGES).read_bytes()
        return cls.from_merges(gzip.decompress(packed).decode(), context_length=context_length)

    @classmethod
    def from_merges(cls, merges: str, *, context_length: int, lower_case: bool = True) -> Self:
        """A tokenizer from the text of a merges file: ``left right`` on each line."""
        size = len(BYTE_SYMBOLS) + merges.count("\n") + 2
        spec = TextSpec(
            vocabulary_sha256=hashlib.sha256(merges.encode()).hexdigest(),
            vocabulary_size=size,
            context_length=context_length,
            start_id=size - 2,
            end_id=size - 1,
            lower_case=lower_case,
        )
        return cls(merges, spec)

    @classmethod
    def from_spec(cls, spec: TextSpec, folder: Path) -> Self:
        """The tokenizer of a bundle or checkpoint.

        Raises:
            BundleError: The merges file is missing, damaged, malformed or does not fit
                ``spec``.
        """
        path = check_vocabulary(folder, spec)
        try:
            merges = path.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(f"{path} cannot be read: {error}") from error
        if _MERGES_FILE.fullmatch(merges) is None:
            raise BundleError(f"{path} is not a merges file: each line must hold two symbols")
        size = len(BYTE_SYMBOLS) + merges.count("\n") + 2
        found = (spec.vocabulary_size, spec.start_id, spec.end_id)
        if found != (size, size - 2, size - 1) or not 0 <= spec.pad_id < size:
            raise BundleError(f"{path} makes {size} tokens, which is not what its manifest says")
        return cls(merges, spec)

    @property
    def vocabulary_size(self) -> int:
        """How many ids there are, start and end among them."""
        return self.spec.vocabulary_size

    @property
    def context_length(self) -> int:
        """How many ids a sentence becomes, padding among them."""
        return self.spec.context_length

    @property
    def merges(self) -> tuple[str, ...]:
        """Every merge as ``left right``, in order of priority."""
        return tuple(self._merges.splitlines())

    def with_context(self, context_length: int) -> Self:
        """The same vocabulary with sentences of another length."""
        changed = copy.copy(self)
        values = self.spec.model_dump() | {"context_length": context_length}
        changed.spec = TextSpec.model_validate(values)
        return changed

    def __call__(self, sentence: str) -> NDArray[np.int32]:
        """Ids of one sentence, ``(context_length,)``.

        A sentence that is too long is cut; the end id then stands in the last place.
        """
        ids: NDArray[np.int32] = self.batch([sentence])[0]
        return ids

    def batch(self, sentences: Sequence[str]) -> NDArray[np.int32]:
        """Ids of sentences, ``(len(sentences), context_length)``."""
        shape = (len(sentences), self.context_length)
        ids = np.full(shape, self.spec.pad_id, dtype=np.int32)
        start = [] if self.spec.start_id is None else [self.spec.start_id]
        for row, sentence in zip(ids, sentences, strict=True):
            found = [*start, *self._ids(sentence, limit=self._room), self.spec.end_id]
            row[: len(found)] = found
        return ids

    def cuts(self, sentence: str) -> bool:
        """Whether a sentence is too long for the context, so that its end is not read."""
        return len(self._ids(sentence, limit=self._room + 1)) > self._room

    def decode(self, ids: Iterable[int]) -> str:
        """The cleaned sentence with a space after each word and sign; stops at the end id."""
        pieces = []
        for id in ids:
            if id == self.spec.end_id:
                break
            if id != self.spec.start_id:
                pieces.append(self.token(id))
        return text_of("".join(pieces)).rstrip(" ")

    def token(self, id: int) -> str:
        """One vocabulary entry as in the merges file, with ``</w>`` where a word ends.

        Raises:
            IndexError: The vocabulary has no such id.
        """
        if not 0 <= id < len(self._pieces):
            raise IndexError(f"token ids go from 0 to {len(self._pieces) - 1}, not {id}")
        return self._pieces[id]

    def save(self, folder: Path) -> TextSpec:
        """Write the merges file into ``folder`` and return the spec that names it."""
        with replacing(folder / self.spec.vocabulary_file) as temporary:
            temporary.write_bytes(self._merges.encode())
        return self.spec

    @property
    def _room(self) -> int:
        """Ids that are left for the sentence beside start and end."""
        return self.context_length - (1 if self.spec.start_id is None else 2)

    def _ids(self, sentence: str, limit: int) -> list[int]:
        ids: list[int] = []
        for word in words(clean(sentence, lower_case=self.spec.lower_case)):
            ids += self._special.get(word) or self._words.get(word) or self._split(word)
            if len(ids) >= limit:
                break
        return ids[:limit]

    def _split(self, word: str) -> tuple[int, ...]:
        found = tuple(self._id_of[piece] for piece in merge(symbols_of(word), self._ranks))
        if len(word) <= _CACHED_LENGTH:
            if len(self._words) >= _CACHED_WORDS:
                self._words.clear()
            self._words[word] = found
        return found

    @cached_property
    def _id_of(self) -> dict[str, int]:
        return dict(zip(self._pieces, range(len(self._pieces)), strict=True))
