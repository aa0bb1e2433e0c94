"""What has to be indexed while photos come, change and go."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from retrieval.search.indexing.roots import Root
from retrieval.spec.errors import MissingExtraError

# Copying a folder of photos is one change, not thousands: wait until it is quiet, but not for
# ever.
QUIET_MS = 1_000
LONGEST_WAIT_MS = 10_000
# How often to look whether a folder has vanished or is back.
LOOK_MS = 1_000
POLL_MS = 5_000


@dataclass(frozen=True, slots=True)
class Change:
    """Something to index."""

    root: Root
    only: Sequence[Path] | None
    """Files and folders that changed, present or not; None means all of the folder, because
    it was not watched before."""


def changes(
    roots: Sequence[Root], *, ignore: Path, poll: bool = False, stop: Event | None = None
) -> Iterator[Change]:
    """Everything that has to be indexed to keep ``roots`` up to date, until ``stop`` is set.

    Each folder comes once as a whole after watching it has begun, so nothing is missed in
    between. A folder that vanishes is waited for, and comes as a whole when it is back;
    nothing is said about its photos meanwhile.

    Args:
        roots: What to watch; they need not be there.
        ignore: A folder whose changes are nobody's business: the catalog's own.
        poll: Look at all files again and again, where the system reports no changes (network
            drives, some containers).
        stop: Ends it; else Ctrl-C does.

    Raises:
        MissingExtraError: watchfiles is not installed.
        OSError: The system refuses to watch so many folders.
    """
    stop = stop or Event()
    while not stop.is_set():
        present = _present(roots)
        if not present:
            stop.wait(LOOK_MS / 1000)
            continue
        events = _events(list(present), ignore, poll, stop)
        happened = next(events, None)
        if happened is None:
            continue
        yield from (Change(root, None) for root in roots if root.path in present)
        while happened is not None and _present(roots) == present:
            yield from _by_root(happened, roots)
            happened = next(events, None)


def _events(
    folders: Sequence[Path], ignore: Path, poll: bool, stop: Event
) -> Iterator[Iterable[str]]:
    """Sets of changed paths, an empty one now and then; ends when it has to begin anew."""
    try:
        import watchfiles
    except ModuleNotFoundError as error:
        raise MissingExtraError("leanclip watch", "watch") from error

    def concerns(change: watchfiles.Change, path: str) -> bool:
        return not Path(path).is_relative_to(ignore)

    watched = watchfiles.watch(
        *folders,
        watch_filter=concerns,
        step=QUIET_MS,
        debounce=LONGEST_WAIT_MS,
        rust_timeout=LOOK_MS,
        yield_on_timeout=True,
        stop_event=stop,
        force_polling=poll or None,
        poll_delay_ms=POLL_MS,
        ignore_permission_denied=True,
    )
    try:
        for found in watched:
            yield {path for _, path in found}
    except (FileNotFoundError, RuntimeError):
        # A folder vanished as watching it began, or watchfiles was told a name that is no
        # text, which it cannot pass on. Either way all is looked at again, but not at once.
        stop.wait(LOOK_MS / 1000)


def _present(roots: Sequence[Root]) -> dict[Path, tuple[int, int]]:
    """Folders that are there, and which folders they are: a mount makes another one of it."""
    found = {}
    for root in roots:
        try:
            state = root.path.stat()
        except OSError:
            continue
        found[root.path] = (state.st_dev, state.st_ino)
    return found


def _by_root(happened: Iterable[str], roots: Sequence[Root]) -> Iterator[Change]:
    places = {Path(path) for path in happened}
    for root in roots:
        inside = sorted(place for place in places if place.is_relative_to(root.path))
        if inside:
            yield Change(root, inside)
