r"""Finding the nearest of many vectors: latency, recall, memory and building time.

For each number of vectors, one query at a time, the same queries for all:

- ``exact``: FAISS over fp16, leanclip's default;
- ``hnsw`` and ``ivfpq``: leanclip's approximate indexes at every effort, opened memory-mapped;
- ``numpy``: float32 matrix times query, then ``argpartition``;
- ``SQLite blobs``: float32 blobs read from a table, scored and sorted in Python, as simple
  photo searches do it;
- ``reading only``: the fp16 vectors are read from memory once and nothing is computed, with
  as many threads: no exact search of fp16 vectors can be faster.

Vectors are drawn, not photographed: a Gaussian mixture whose variances fall off by a power
law, as those of CLIP embeddings do, with sentences on their own side of a gap. Their recall
is that of such vectors; `leanclip tune` measures it on one's own photos. Memory per vector is
what each keeps for searching; the approximate ones leave it on disk until a query needs it.

    python data/benchmarks/vector_search.py
    python data/benchmarks/vector_search.py --rows 10000000 --only ivfpq --memory 8 \
        --out data/benchmarks/vector_search_10m
"""

import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import faiss
import numpy as np
import typer
from figures import HERE, stamp, write_figures

from retrieval.index.exact import ExactIndex
from retrieval.index.kinds import KINDS, Kind
from retrieval.index.protocol import Matches, Queries, Vectors
from retrieval.index.store import IndexStore, build_index
from retrieval.index.tuning import recall_of
from retrieval.index.vectors import VectorFile

TOP = 10
CONTENDERS = ("exact", "hnsw", "ivfpq", "numpy", "SQLite blobs", "reading only")
PACKAGES = ("leanclip", "faiss-cpu", "numpy")
_BLOCK = 100_000
_CENTRES = 2_000
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024

Search = Callable[[Queries], Matches]


@dataclass(frozen=True, slots=True)
class Row:
    """One contender with one setting on one number of vectors."""

    rows: int
    contender: str
    effort: int
    recall: float | None
    p50_ms: float
    p95_ms: float
    bytes_per_vector: float
    build_seconds: float
    peak_megabytes: float
    """Largest resident set of the process so far, pages of mapped files among it."""


@dataclass(frozen=True, slots=True)
class Ready:
    """One contender with one setting, ready to be asked."""

    search: Search
    bytes_per_vector: float
    build_seconds: float = 0
    effort: int = 0


def main(
    rows: Annotated[list[int] | None, typer.Option(help="Numbers of vectors.")] = None,
    dim: Annotated[int, typer.Option(min=8, help="Length of a vector.")] = 512,
    queries: Annotated[int, typer.Option(min=20, help="Queries.")] = 200,
    only: Annotated[list[str] | None, typer.Option(help="Contenders; all by default.")] = None,
    slow_queries: Annotated[int, typer.Option(help="Queries for those beyond 0.5 s.")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="Threads of every contender.")] = 2,
    memory: Annotated[
        float | None, typer.Option(help="Gigabytes that the process may take for itself.")
    ] = None,
    work: Annotated[Path | None, typer.Option(help="Folder for vectors; else temporary.")] = None,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "vector_search",
) -> None:
    """Draw vectors, let every contender answer the same queries, write figures."""
    faiss.omp_set_num_threads(threads)
    if memory is not None:
        # Not the resident set: it counts pages of mapped files, too, which the system may take
        # back at any time. Whoever asks for more gets none, and the benchmark fails.
        resource.setrlimit(resource.RLIMIT_DATA, (int(memory * 1e9), resource.RLIM_INFINITY))
    stamped = stamp(
        threads=f"{threads} for one query at a time",
        statistic=f"median and 95th percentile of {queries} queries, {slow_queries} for slow ones",
        packages=PACKAGES,
    )
    measured: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="leanclip-benchmark-") as temporary:
        for count in rows or [10_000, 100_000, 1_000_000]:
            folder = (work or Path(temporary)) / str(count)
            vectors = _drawn(folder / "space-1.fp16", count, dim)
            asked = draw(queries, dim, seed=1, sentences=True)
            for row in compare(vectors, asked, folder, only or CONTENDERS, threads, slow_queries):
                measured.append(row)
                typer.echo(line(row))
    raw = [asdict(row) for row in measured]
    results = {"dim": dim, "top": TOP, "gigabytes_allowed": memory}
    write_figures(out, stamped=stamped, results=results, raw=raw)


def draw(count: int, dim: int, *, seed: int, sentences: bool = False) -> Queries:
    """Vectors of length one, ``(count, dim)``, clustered, with a power-law spectrum."""
    shape = np.random.default_rng(0)
    spectrum = (np.arange(1, dim + 1) ** -0.5).astype(np.float32)
    centres = shape.standard_normal((_CENTRES, dim)).astype(np.float32)
    gap = shape.standard_normal((2, dim)).astype(np.float32)
    chance = np.random.default_rng([seed, int(sentences)])
    drawn = centres[chance.integers(0, _CENTRES, count)]
    drawn += chance.standard_normal((count, dim), dtype=np.float32)
    drawn = drawn * spectrum + 0.1 * gap[int(sentences)]
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def compare(
    vectors: Vectors,
    queries: Queries,
    folder: Path,
    contenders: tuple[str, ...] | list[str],
    threads: int,
    slow_queries: int,
) -> Iterator[Row]:
    """Let the contenders answer, one after the other, so that none holds another's memory."""
    rows = len(vectors)
    truth = _truth(vectors, queries)

    def measured(name: str, ready: Ready) -> Row:
        times, found = _timed(ready.search, queries, slow_queries)
        recall = None
        if found is not None:
            some = Matches(truth.rows[: len(times)], truth.scores[: len(times)])
            recall = recall_of(found, some)
        p50, p95 = map(float, np.percentile(times, [50, 95]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT / 1e6
        size, build = ready.bytes_per_vector, ready.build_seconds
        return Row(rows, name, ready.effort, recall, p50, p95, size, build, peak)

    for name in contenders:
        # Not a loop over them: its variable would keep the last one alive.
        yield from (measured(name, ready) for ready in _ready(name, vectors, folder, threads))


def _ready(name: str, vectors: Vectors, folder: Path, threads: int) -> Iterator[Ready]:
    """A contender with each of its settings."""
    dim = vectors.shape[1]
    match name:
        case "exact":
            started = time.perf_counter()
            index = ExactIndex(vectors)
            seconds = time.perf_counter() - started
            yield Ready(lambda q: index.search(q, TOP), 2 * dim, seconds)
        case "hnsw" | "ivfpq":
            yield from _approximate(name, vectors, folder)
        case "numpy":
            matrix = vectors.astype(np.float32)
            yield Ready(lambda q: _by_numpy(matrix, q), 4 * dim)
        case "SQLite blobs":
            with _blobs(folder / "blobs.sqlite3", vectors) as connection:
                size = (folder / "blobs.sqlite3").stat().st_size / len(vectors)
                yield Ready(lambda q: _by_sqlite(connection, q), size)
            (folder / "blobs.sqlite3").unlink()
        case "reading only":
            yield Ready(_reading(np.array(vectors), threads), 2 * dim)


def _approximate(name: Kind, vectors: Vectors, folder: Path) -> Iterator[Ready]:
    """One of leanclip's approximate indexes at every effort."""
    rows, dim = vectors.shape
    kind = KINDS[name]
    started = time.perf_counter()
    built = build_index(vectors, name, _progress(f"{name} of {rows:,}"))
    seconds = time.perf_counter() - started
    store = IndexStore(folder / "space-1.fp16")
    store.keep(built, name, kind.efforts[0], vectors)
    opened = store.open(vectors)
    for effort in kind.efforts:
        opened.effort = effort
        size = kind.bytes_per_vector(dim)
        yield Ready(lambda q: opened.search(q, TOP), size, seconds, effort)


def line(row: Row) -> str:
    """One line for the terminal."""
    recall = "" if row.recall is None else f"recall@{TOP} {row.recall:.3f}"
    return (
        f"{row.rows:>11,} {row.contender:<13} {row.effort or '':>4}  p50 {row.p50_ms:9.3f} ms  "
        f"p95 {row.p95_ms:9.3f} ms  {row.bytes_per_vector:7.0f} bytes  "
        f"built in {row.build_seconds:7.1f} s  {recall}"
    )


def _drawn(path: Path, count: int, dim: int) -> Vectors:
    file = VectorFile(path, dim)
    tell = _progress(f"drawing {count:,}")
    for start in range(0, count, _BLOCK):
        some = min(_BLOCK, count - start)
        file.append(draw(some, dim, seed=2 + start), at=start)
        tell(start + some, count)
    return file.read(count)


def _truth(vectors: Vectors, queries: Queries) -> Matches:
    # In blocks, since the index of all of them may not fit into memory.
    heap = faiss.ResultHeap(len(queries), TOP, keep_max=True)
    for start in range(0, len(vectors), _BLOCK):
        found = ExactIndex(vectors[start : start + _BLOCK]).search(queries, TOP)
        heap.add_result(found.scores, found.rows + start)
    heap.finalize()
    return Matches(heap.I, heap.D)


def _timed(
    search: Search, queries: Queries, slow_queries: int
) -> tuple[list[float], Matches | None]:
    started = time.perf_counter()
    search(queries[:1])
    if time.perf_counter() - started > 0.5:
        queries = queries[:slow_queries]
    else:
        for query in queries[:20]:
            search(query[np.newaxis])
    times, found = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(search(query[np.newaxis]))
        times.append((time.perf_counter() - started) * 1e3)
    if not found[0].rows.size:
        return times, None
    return times, Matches(
        np.concatenate([one.rows for one in found]), np.concatenate([one.scores for one in found])
    )


def _by_numpy(matrix: np.ndarray, query: Queries) -> Matches:
    scores = matrix @ query[0]
    best = np.argpartition(-scores, TOP)[:TOP]
    best = best[np.argsort(-scores[best])]
    return Matches(best[np.newaxis], scores[np.newaxis, best])


def _blobs(path: Path, vectors: Vectors) -> sqlite3.Connection:
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE images (id INTEGER PRIMARY KEY, vector BLOB)")
    for start in range(0, len(vectors), _BLOCK):
        some = vectors[start : start + _BLOCK].astype(np.float32)
        connection.executemany(
            "INSERT INTO images (vector) VALUES (?)", ((one.tobytes(),) for one in some)
        )
    connection.commit()
    return connection


def _by_sqlite(connection: sqlite3.Connection, query: Queries) -> Matches:
    found = connection.execute("SELECT id, vector FROM images").fetchall()
    matrix = np.stack([np.frombuffer(blob, np.float32) for _, blob in found])
    scores = matrix @ query[0]
    ranked = sorted(zip(scores, (id for id, _ in found), strict=True), reverse=True)[:TOP]
    rows = np.array([[id - 1 for _, id in ranked]])
    return Matches(rows, np.array([[score for score, _ in ranked]], np.float32))


def _reading(vectors: np.ndarray, threads: int) -> Search:
    words = np.array_split(vectors.reshape(-1).view(np.uint64), threads)
    pool = ThreadPoolExecutor(threads)

    def read(query: Queries) -> Matches:
        # The reduction lets go of the interpreter's lock, so the threads read side by side.
        list(pool.map(np.bitwise_or.reduce, words))
        return Matches.none(len(query))

    return read


def _progress(label: str) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        end = "\n" if done == total else "\r"
        sys.stderr.write(f"{label}: {done:,} of {total:,}{end}")

    return tell


if __name__ == "__main__":
    typer.run(main)
