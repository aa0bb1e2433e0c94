"""Ten people search while photos are added: what they wait, and whether anything goes wrong.

A real ``leanclip serve`` answers over HTTP. Each client asks for another scene again and again,
with a short pause, as somebody does who types. They do so for a while as nothing else happens,
and then as ``leanclip index``, a process of its own, adds photos to the same library. Meanwhile
an auditor takes down which photos are committed, that is, which the indexing run counts as
done; then it searches, and every one of them must be in the answer.

Written down is each request: when it began, how long it took from asking to the last byte, and
what went wrong. Exit status 1 says that a request failed, or that a photo was missing.

    python data/benchmarks/clients.py
    python data/benchmarks/clients.py --photos 200 --added 200 --seconds 5
"""

import http.client
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer
from clients_library import index, make_photos, served
from figures import HERE, stamp, write_figures

from retrieval.catalog.catalog import CATALOG_FILE, Catalog

QUIET, BUSY = "without indexing", "while indexing"
PACKAGES = ("leanclip", "onnxruntime", "faiss-cpu", "fastapi", "uvicorn", "pillow", "numpy")
# The page searches through so many photos of one answer, and the auditor wants all of them.
MOST_PHOTOS = 2_000
_PAGE = 200
_SHOWN = 60
_SEARCH = "/api/libraries/photos/photos?"
_PATIENCE = 60.0
_WORDS = (
    ("red", "old", "small", "wet", "bright", "wooden", "quiet", "broken", "blue", "sleeping"),
    ("dog", "boat", "house", "child", "bird", "street", "car", "tree", "bridge", "cat", "meal"),
    ("in snow", "at night", "by the sea", "on a hill", "in a garden", "in fog", "in a city"),
    ("", "with people", "from above", "in winter", "seen through a window", "far away"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """One search over HTTP."""

    phase: str
    client: int
    began: float
    """Seconds since the phase began."""
    milliseconds: float
    error: str
    """Empty if all went well."""


@dataclass(slots=True)
class Audit:
    """What the auditor saw."""

    rounds: int = 0
    seen: int = 0
    """Committed photos that it looked for, added up over the rounds."""
    missing: list[int] = field(default_factory=list)
    """Ids of committed photos that an answer lacked."""


def main(
    photos: Annotated[int, typer.Option(min=1, help="Indexed before.")] = 1_000,
    added: Annotated[int, typer.Option(min=1, help="Added while clients search.")] = 1_000,
    clients: Annotated[int, typer.Option(min=1, help="Who search at the same time.")] = 10,
    seconds: Annotated[float, typer.Option(help="How long they search before.")] = 20.0,
    pause: Annotated[float, typer.Option(help="Seconds from an answer to the next ask.")] = 0.25,
    model: Annotated[str, typer.Option(help="Bundle to search with.")] = "default",
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "clients",
) -> None:
    """Search before and during indexing, and write down every request."""
    if photos + added > MOST_PHOTOS:
        raise typer.BadParameter(f"--photos and --added are {MOST_PHOTOS:,} together at most")
    stamped = stamp(
        threads="as leanclip serve and leanclip index choose",
        statistic=f"percentiles over the requests of {clients} clients, {pause:g} s apart",
        packages=PACKAGES,
    )
    with tempfile.TemporaryDirectory(prefix="leanclip-clients-") as folder:
        requests, audit = measured(
            Path(folder),
            photos=photos,
            added=added,
            clients=clients,
            seconds=seconds,
            pause=pause,
            model=model,
        )
    results = {"photos": photos, "added": added, "clients": clients, **summarise(requests, audit)}
    write_figures(
        out, stamped=stamped, results=results, raw=[asdict(request) for request in requests]
    )
    typer.echo(table(results))
    if results["missing"] or any(results[phase]["errors"] for phase in (QUIET, BUSY)):
        raise typer.Exit(1)


def measured(
    folder: Path,
    *,
    photos: int,
    added: int,
    clients: int,
    seconds: float,
    pause: float,
    model: str,
) -> tuple[list[Request], Audit]:
    """Search before and while ``added`` photos are indexed; ``folder`` is filled."""
    home, pictures = folder / "home", folder / "photos"
    audit = Audit()
    make_photos(pictures / "before", photos, seed=0)
    index(home, pictures, model)
    with served(home) as address:
        with _searching(address, QUIET, clients, pause) as requests:
            time.sleep(seconds)
        make_photos(pictures / "added", added, seed=1)
        done = threading.Event()
        with (
            _searching(address, BUSY, clients, pause) as while_indexing,
            _running(lambda: _audit(address, home, pictures, audit, done)),
        ):
            try:
                index(home, pictures, model)
            finally:
                done.set()
    return requests + while_indexing, audit


def summarise(requests: list[Request], audit: Audit) -> dict[str, Any]:
    """Percentiles and errors of each phase, and what the auditor found."""
    results: dict[str, Any] = {}
    for phase in (QUIET, BUSY):
        some = [request for request in requests if request.phase == phase]
        times = [request.milliseconds for request in some if not request.error]
        cuts = statistics.quantiles(times, n=20, method="inclusive")
        results[phase] = {
            "requests": len(some),
            "errors": sum(bool(request.error) for request in some),
            "p50_milliseconds": cuts[9],
            "p95_milliseconds": cuts[18],
        }
    found = {"audits": audit.rounds, "photos_looked_for": audit.seen}
    return {**results, **found, "missing": len(set(audit.missing))}


def table(results: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        f"| {results['clients']} clients, {results['photos']:,} photos "
        "| requests | errors | median | 95 % within |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    names = {QUIET: QUIET, BUSY: f"{BUSY} {results['added']:,} more"}
    for phase, name in names.items():
        row = results[phase]
        lines.append(
            f"| {name} | {row['requests']:,} | {row['errors']} "
            f"| {row['p50_milliseconds']:.0f} ms | {row['p95_milliseconds']:.0f} ms |"
        )
    lines += [
        "",
        f"Looked {results['audits']:,} times for what was reported done, "
        f"{results['photos_looked_for']:,} photos in all: {results['missing']} missing.",
    ]
    return "\n".join(lines)


@contextmanager
def _searching(address: str, phase: str, clients: int, pause: float) -> Iterator[list[Request]]:
    """Clients that search as long as this is open, and what their requests came to."""
    requests: list[Request] = []
    done = threading.Event()
    began = time.perf_counter()

    def search(client: int) -> None:
        dice = random.Random(f"{phase} {client}")
        with closing(http.client.HTTPConnection(address, timeout=_PATIENCE)) as connection:
            while not done.is_set():
                started = time.perf_counter()
                error = ""
                try:
                    if not _asked(connection, q=_sentence(dice), limit=_SHOWN)["photos"]:
                        error = "no photo was found"
                except (OSError, http.client.HTTPException, ValueError) as failure:
                    error = f"{type(failure).__name__}: {failure}"
                    connection.close()
                taken = (time.perf_counter() - started) * 1000
                requests.append(Request(phase, client, started - began, taken, error))
                done.wait(pause)

    threads = [threading.Thread(target=search, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield requests
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _audit(address: str, home: Path, pictures: Path, audit: Audit, done: threading.Event) -> None:
    """Look for all committed photos until indexing is done, and once after it."""
    with (
        Catalog.open(home / CATALOG_FILE) as catalog,
        closing(http.client.HTTPConnection(address, timeout=_PATIENCE)) as connection,
    ):
        is_last = False
        while not is_last:
            is_last = done.is_set()
            committed = committed_photos(catalog, pictures)
            found = found_photos(connection, f"{_sentence(random.Random())} {audit.rounds}")
            audit.rounds += 1
            audit.seen += len(committed)
            audit.missing += committed - found


def committed_photos(catalog: Catalog, pictures: Path) -> set[int]:
    """Ids of the photos that an indexing run has counted as done by now."""
    space = catalog.serving()
    if space is None:
        return set()
    known = catalog.known_photos(pictures, space).values()
    return {photo.id for photo in known if photo.has_vector and not photo.gone}


def found_photos(connection: http.client.HTTPConnection, sentence: str) -> set[int]:
    """Ids of all photos that a search gives, page after page."""
    found: set[int] = set()
    offset: int | None = 0
    while offset is not None:
        page = _asked(connection, q=sentence, limit=_PAGE, offset=offset)
        found |= {photo["id"] for photo in page["photos"]}
        offset = page["next"]
    return found


def _asked(connection: http.client.HTTPConnection, **question: object) -> dict[str, Any]:
    connection.request("GET", _SEARCH + urlencode(question))
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise ValueError(f"{response.status} {content[:200].decode(errors='replace')}")
    answer: dict[str, Any] = json.loads(content)
    return answer


@contextmanager
def _running(work: Callable[[], None]) -> Iterator[None]:
    """Something that goes on in a thread; its failure is this block's."""
    with ThreadPoolExecutor(1) as thread:
        going_on = thread.submit(work)
        yield
        going_on.result()


def _sentence(dice: random.Random) -> str:
    # Hardly ever the same twice: the server remembers its last answers.
    return " ".join(dice.choice(words) for words in _WORDS).strip()


if __name__ == "__main__":
    typer.run(main)
