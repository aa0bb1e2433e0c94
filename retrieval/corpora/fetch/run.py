"""Fetch a data set: captions, photos, captioned pairs, and a note of what came from where."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol

from retrieval.corpora.fetch.datasets import Dataset, Source
from retrieval.corpora.fetch.download import check, download
from retrieval.corpora.fetch.karpathy import Entry, read_entries, write_pairs
from retrieval.corpora.fetch.unpack import unpack_photos
from retrieval.spec.errors import CorpusError
from retrieval.spec.files import sha256_file, write_json

NOTE: Final = "fetched.json"
"""What was fetched, with hashes; beside the pairs."""
ARCHIVES: Final = "archives"
"""Folder of what was downloaded; not needed any more once the photos are unpacked."""

_PUBLISHED = "published"
_FIRST_SEEN = "seen first here"


class Reporter(Protocol):
    """Receives progress; the command line draws it, tests count it."""

    def begin(self, title: str, total: int, done: int = 0) -> None:
        """A piece of work of ``total`` steps starts (or resumes at ``done``)."""

    def advance(self, done: int, total: int | None = None, note: str = "") -> None:
        """``done`` steps are finished."""

    def tell(self, text: str) -> None:
        """Something worth a line."""


@dataclass(frozen=True)
class Fetched:
    """What a fetch left.

    Attributes:
        pairs: The file of each split.
        archives: What may be deleted now.
    """

    pairs: dict[str, Path]
    archives: list[Path] = field(default_factory=list)


def fetch_dataset(
    dataset: Dataset, folder: Path, *, archives: Sequence[Path] = (), reporter: Reporter
) -> Fetched:
    """Bring a data set into a folder; what is there already is not fetched again.

    Whoever calls it has accepted ``dataset.terms``.

    Args:
        dataset: Which one.
        folder: Gets ``train.jsonl``, ``dev.jsonl``, ``test.jsonl``, the photos, the downloaded
            archives and a note.
        archives: Archives that are on this machine already. One with the name of a known file
            must have its hash; of others with photos the hash is noted when they are first
            seen, and must stay the same from then on.
        reporter: Told of progress.

    Raises:
        CorpusError: A download or an archive is not what it should be, photos are missing,
            or the disk is full.
    """
    return _Fetch(dataset, folder, archives, reporter).run()


class _Fetch:
    def __init__(
        self, dataset: Dataset, folder: Path, archives: Sequence[Path], reporter: Reporter
    ) -> None:
        self.dataset = dataset
        self.folder = folder
        self.given = {archive.name: archive for archive in archives}
        self.reporter = reporter
        self.note = _read_note(folder / NOTE)

    def run(self) -> Fetched:
        captions = self._bring(self.dataset.captions)
        entries = read_entries(captions, self.dataset)
        for archive in self._own_photos():
            self._unpack(archive, entries)
        for source in self.dataset.archives:
            name = PurePosixPath(source.name).stem
            if any(place.startswith(f"{name}/") for place in self._missing(entries)):
                self._unpack(self._bring(source), entries)
        self._require_all(entries)
        pairs = write_pairs(self.folder, entries)
        self._write_note()
        kept = self.folder / ARCHIVES
        return Fetched(pairs, sorted(kept.iterdir()) if kept.is_dir() else [])

    def _bring(self, source: Source) -> Path:
        """The file of a source: given, downloaded earlier, or downloaded now."""
        given = self.given.get(source.name)
        target = given or self.folder / ARCHIVES / source.name
        if given is not None or target.is_file():
            self.reporter.tell(f"checking {target}")
            check(source, target)
        else:
            self.reporter.begin(f"downloading {source.name}", source.bytes)
            download(source, target, progress=self.reporter.advance)
        self._remember(target, source.sha256, _PUBLISHED)
        return target

    def _own_photos(self) -> list[Path]:
        """Archives of photos that were given, each checked by a published or noted hash."""
        known = {one.name: one for one in (*self.dataset.archives, *self.dataset.others)}
        found = []
        for name, path in self.given.items():
            if name == self.dataset.captions.name:
                continue
            if not path.is_file():
                raise CorpusError(f"{path}: no such archive")
            if name in known:
                self.reporter.tell(f"checking {path}")
                check(known[name], path)
                self._remember(path, known[name].sha256, _PUBLISHED)
            else:
                self._remember_first(path)
            found.append(path)
        return found

    def _remember_first(self, path: Path) -> None:
        found = sha256_file(path)
        earlier = self.note.get(path.name, {}).get("sha256")
        if earlier is None:
            self.reporter.tell(
                f"{path.name}: nobody publishes its hash; SHA-256 {found} is noted in {NOTE}, and "
                "another archive of that name is refused from now on"
            )
        elif earlier != found:
            raise CorpusError(
                f"{path}: its SHA-256 is {found}, and the {path.name} that was used before had "
                f"{earlier}; delete {self.folder / NOTE} if the new one is right"
            )
        self._remember(path, found, _FIRST_SEEN)

    def _remember(self, path: Path, sha256: str, origin: str) -> None:
        self.note[path.name] = {"bytes": path.stat().st_size, "sha256": sha256, "hash": origin}
        self._write_note()

    def _write_note(self) -> None:
        content = {
            "dataset": self.dataset.name,
            "terms": self.dataset.terms,
            "terms_at": self.dataset.page,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": self.note,
        }
        write_json(self.folder / NOTE, content)

    def _unpack(self, archive: Path, entries: Sequence[Entry]) -> None:
        wanted = {}
        for entry in entries:
            for place in entry.places:
                alone = len(entry.places) == 1
                wanted[PurePosixPath(place).name if alone else place] = place
        self.reporter.begin(f"unpacking {archive.name}", len(entries))
        found = unpack_photos(archive, self.folder, wanted, progress=self.reporter.advance)
        if not found:
            raise CorpusError(f"{archive}: none of the photos of {self.dataset.title} are in it")

    def _missing(self, entries: Sequence[Entry]) -> list[str]:
        return [entry.places[0] for entry in entries if entry.found(self.folder) is None]

    def _require_all(self, entries: Sequence[Entry]) -> None:
        missing = self._missing(entries)
        if not missing:
            return
        if self.dataset.form is not None:
            advice = (
                f"ask for them with the form at {self.dataset.form}, and name the archive that "
                "you get with --archive"
            )
        else:
            advice = "run it again"
        raise CorpusError(
            f"{self.folder / missing[0]} and {len(missing) - 1:,} more photos of {len(entries):,} "
            f"are missing; {advice}"
        )


def _read_note(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        files: dict[str, Any] = json.loads(path.read_text("utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{path} is damaged ({error!r}); delete it and run again") from error
    return files
