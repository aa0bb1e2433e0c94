"""Bring a bundle from elsewhere: every hash checked, and there as a whole or not at all."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from retrieval.hub.errors import FetchError
from retrieval.hub.sources import Source, source_of
from retrieval.hub.store import (
    ORIGIN,
    InstalledModel,
    Origin,
    is_model_name,
    model_named,
    models_folder,
    packaged_model,
    unfinished_folder,
)
from retrieval.hub.wanted import WantedFile, wanted_files
from retrieval.spec.bundle import (
    MANIFEST,
    Bundle,
    check_file,
    check_vocabulary,
    read_bundle,
)
from retrieval.spec.errors import BundleError
from retrieval.spec.files import sha256_file, sha256_path, size_of, swap_folder, write_json
from retrieval.transfer.errors import AbsentError
from retrieval.transfer.transfer import transfer

Progress = Callable[[str, int, int], None]
"""Called with a file, the bytes of all files that are there, and how many there will be."""

_MOST_OF_MANIFEST = 4_000_000
_ARRIVING = ".arriving"
_ROOM_LEFT = 16_000_000
"""Bytes that stay free on the disk."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What `fetch_model` did."""

    model: InstalledModel
    manifest_sha256: str
    new: bool
    """False when it was there already, with every hash right."""


def fetch_model(
    text: str,
    *,
    name: str | None = None,
    sha256: str | None = None,
    progress: Progress = lambda file, done, total: None,
    pause: float = 1.0,
) -> Fetched:
    """Fetch a bundle, or the rest of one.

    Args:
        text: As for `source_of`.
        name: What to call it here; by default as its manifest does.
        sha256: Of ``bundle.json``, from somebody you trust. Without it, the one that comes
            is believed the first time and held against the next.
        progress: Told how far it has come.
        pause: As for `transfer`.

    Raises:
        FetchError: Something differs from its hash or leads out of the folder, the model has
            changed since it was first fetched, or another has its name.
        TransferError: As for `transfer`; `AbsentError` when a file is missing.
        OSError: The folder cannot be written.
    """
    source = source_of(text)
    models_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".manifest.", dir=models_folder()) as place:
        manifest = Path(place) / MANIFEST
        transfer(source.address(MANIFEST), manifest, most=_MOST_OF_MANIFEST, pause=pause)
        found = sha256_file(manifest)
        if sha256 is not None and found != sha256.lower():
            raise FetchError(
                f"{source.address(MANIFEST)} has SHA-256 {found}, not the one that you gave; "
                "nothing was fetched"
            )
        bundle = _read(manifest, source)
        files = wanted_files(bundle, source.address(MANIFEST))
        called = _name(bundle, name)
        there = _there_already(called, source, found, replace=sha256 is not None)
        if there is not None:
            return Fetched(there, found, new=False)
        folder = _unfinished(called, manifest, found)
    _require_room(folder, files)
    _Fetching(source, folder, files, progress, pause).run()
    origin = Origin(source=source.text, manifest_sha256=found)
    write_json(folder / ORIGIN, origin.model_dump(mode="json"))
    final = models_folder() / called
    swap_folder(folder, final)
    return Fetched(InstalledModel(called, final, origin), found, new=True)


class _Fetching:
    """The files of one bundle, one after the other."""

    def __init__(
        self,
        source: Source,
        folder: Path,
        files: list[WantedFile],
        progress: Progress,
        pause: float,
    ) -> None:
        self._source = source
        self._folder = folder
        self._files = files
        self._progress = progress
        self._pause = pause
        # What no manifest vouches for is small, and its size is not known beforehand.
        self._total = sum(file.most for file in files if _is_tower(file))
        self._done = 0

    def run(self) -> None:
        for file in self._files:
            # What is there has been checked before it got its name; of the rest it is not known.
            if file.sha256 is None or not (self._folder / file.path).exists():
                self._bring(file)
            if _is_tower(file):
                self._done += file.most
                self._progress(file.path, self._done, self._total)

    def _bring(self, file: WantedFile) -> None:
        arriving = self._folder / f"{file.path}{_ARRIVING}"
        if file.members:
            for member in file.members:
                self._transfer(file, f"{file.path}/{member}", arriving / member)
        else:
            self._transfer(file, file.path, arriving)
        if not arriving.exists():
            return
        if file.sha256 is not None and sha256_path(arriving) != file.sha256:
            _remove(arriving)
            raise FetchError(
                f"{self._source.address(file.path)} is not the file that {MANIFEST} promises: its "
                "SHA-256 differs; it was removed, run it again to fetch it anew"
            )
        arriving.replace(self._folder / file.path)

    def _transfer(self, file: WantedFile, path: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.sha256 is None:
            target.unlink(missing_ok=True)  # with no hash, two halves may be of two files
        counted = _is_tower(file)
        try:
            transfer(
                self._source.address(path),
                target,
                most=file.most,
                exact=file.exact,
                progress=lambda done: self._progress(
                    file.path, self._done + (done if counted else 0), self._total
                ),
                pause=self._pause,
            )
        except AbsentError as error:
            if file.optional or (file.members and path.endswith(file.members[-1])):
                return
            raise AbsentError(f"{error}, though {MANIFEST} asks for it") from error


def _is_tower(file: WantedFile) -> bool:
    return file.exact or bool(file.members)


def _read(manifest: Path, source: Source) -> Bundle:
    try:
        return read_bundle(manifest.parent)
    except BundleError as error:
        said = str(error).replace(str(manifest), source.address(MANIFEST))
        raise FetchError(said.replace(str(manifest.parent), source.base)) from error


def _name(bundle: Bundle, wanted: str | None) -> str:
    name = wanted or bundle.name
    if not is_model_name(name):
        raise FetchError(
            f"a model cannot be called {name!r} here; choose with --name, of letters, digits, "
            "dots, dashes and underscores"
        )
    packaged = packaged_model()
    if packaged is not None and packaged.name == name:
        raise FetchError(f"{name} is the name of the packaged model; choose another with --name")
    return name


def _there_already(
    name: str, source: Source, manifest_sha256: str, *, replace: bool
) -> InstalledModel | None:
    model = model_named(name)
    if model is None or model.origin is None:
        return None
    if model.origin.manifest_sha256 == manifest_sha256:
        return model if _is_whole(model) else None
    if model.origin.source != source.text:
        raise FetchError(
            f"there is a model {name} already, from {model.origin.source}; remove it, or choose "
            "another name with --name"
        )
    if not replace:
        raise FetchError(
            f"{name} is no longer what it was when it was first fetched: SHA-256 of {MANIFEST} was "
            f"{model.origin.manifest_sha256} and is {manifest_sha256}; if that is meant, say "
            "--sha256 with the new one"
        )
    return None


def _is_whole(model: InstalledModel) -> bool:
    bundle = model.bundle
    try:
        for file in bundle.files:
            check_file(model.folder, file)
        check_vocabulary(model.folder, bundle.text)
    except BundleError:
        return False
    return True


def _unfinished(name: str, manifest: Path, sha256: str) -> Path:
    """The folder to fill; what another manifest left there goes."""
    folder = unfinished_folder(name)
    earlier = folder / MANIFEST
    if folder.exists() and not (earlier.is_file() and sha256_file(earlier) == sha256):
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    manifest.replace(folder / MANIFEST)
    return folder


def _require_room(folder: Path, files: list[WantedFile]) -> None:
    missing = sum(file.most for file in files if _is_tower(file)) - size_of(folder)
    free = shutil.disk_usage(folder).free
    if missing > 0 and missing + _ROOM_LEFT > free:
        raise FetchError(
            f"{folder.parent} has {free / 1e6:,.0f} MB free, and the model needs "
            f"{missing / 1e6:,.0f} MB more; make room, or set LEANCLIP_HOME to another disk"
        )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
