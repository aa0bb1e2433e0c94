"""Warm queries: a real ``leanclip serve`` process is asked over HTTP, one question at a time.

The library is drawn, not photographed (``drawn_library.py``). The model is real, and so are the
process, the connection (kept alive, as a browser keeps it) and the 60 photos of each answer,
every one of which the server looks for on disk.

In each round, every kind of question is asked in turn: without a filter, by date, by type and
by folder. A question is

- ``new``: a sentence that was never asked; its filter was, as when somebody searches on with
  the same filter;
- ``again``: the same question once more;
- ``first``: a filter that was never asked, so that the server looks through the catalog.

``plain`` does what a short script does with everything in its own memory, without HTTP: encode
the sentence with the same model, multiply with a float32 matrix, sort all scores, walk down
the order until 60 photos fulfil the filter. Its answers are compared with the server's. The
first round warms both up and is not counted.

    python data/benchmarks/serve.py
    python data/benchmarks/serve.py --photos 20000 --rounds 2 --out /tmp/serve
"""

import http.client
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

import numpy as np
import typer
from drawn_library import FIRST, TRIPS, TYPES, Photo, make_library
from figures import HERE, stamp, write_figures

from retrieval.encode.load import open_encoder
from retrieval.encode.protocol import Encoder

PAGE = 60
GOAL_MS = 20.0
PACKAGES = ("leanclip", "onnxruntime", "faiss-cpu", "numpy", "fastapi", "uvicorn")
# Two scores that are equal but for the order of summing.
_ROUNDING = 2e-3
_WORDS = (
    ("a big", "a small", "an old", "a bright", "a muddy", "a broken", "a painted", "a sleepy"),
    ("red", "green", "blue", "brown", "white", "black", "grey", "yellow", "striped", "spotted"),
    ("dog", "boat", "house", "child", "horse", "bicycle", "tree", "car", "bird", "cake", "bridge"),
    ("in the snow", "on a beach", "at night", "by a river", "in a kitchen", "near a mountain"),
)


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter as it is typed, and as the plain script understands it."""

    text: str
    holds: Callable[[Photo], bool]


def main(
    photos: Annotated[int, typer.Option(min=1000, help="Photos of the library.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds.")] = 10,
    questions: Annotated[int, typer.Option(min=1, help="New questions of a kind, a round.")] = 20,
    model: Annotated[str, typer.Option(help="Bundle to search with.")] = "default",
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "serve",
) -> None:
    """Make the library, start the server, ask, report percentiles."""
    stamped = stamp(
        threads=f"as leanclip serve chooses; OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS')}",
        statistic=f"percentiles of {rounds} rounds with {questions} new questions of each kind",
        packages=PACKAGES,
    )
    encoder = open_encoder(model)
    with tempfile.TemporaryDirectory(prefix="leanclip-benchmark-") as temporary:
        folder = Path(temporary)
        typer.echo(f"making a library of {photos:,} photos", err=True)
        known, vectors = make_library(folder, photos, encoder, model)
        plain = Plain(encoder, vectors.astype(np.float32), known)
        with serving(folder / "home", model) as connection:
            raw = list(take_rounds(connection, plain, rounds, questions))
    results = {"photos": photos, "dim": encoder.dim, "page": PAGE, "ms": compare(raw)}
    write_figures(out, stamped=stamped, results=results, raw=raw)
    typer.echo(table(results["ms"]))


@contextmanager
def serving(home: Path, model: str) -> Iterator[http.client.HTTPConnection]:
    """A server of the library in a process of its own, and a connection to it."""
    # The installed command, as a user's shell finds it.
    command = [str(Path(sys.executable).with_name("leanclip")), "serve", "--port", "0"]
    with (
        tempfile.TemporaryFile() as complaint,
        subprocess.Popen(
            [*command, "--home", str(home), "--model", model],
            stdout=subprocess.PIPE,
            stderr=complaint,
            text=True,
        ) as process,
    ):
        try:
            address = process.stdout.readline() if process.stdout else ""
            if not address:
                complaint.seek(0)
                _fail(f"leanclip serve did not start: {complaint.read().decode().strip()}")
            place = urlsplit(address.strip()).netloc
            with closing(http.client.HTTPConnection(place)) as connection:
                yield connection
        finally:
            process.terminate()


class Plain:
    """The plain script."""

    def __init__(self, encoder: Encoder, matrix: np.ndarray, photos: list[Photo]) -> None:
        self._encoder = encoder
        self._matrix = matrix
        self._photos = photos

    def ask(self, sentence: str, wanted: Filter | None) -> list[tuple[str, float]]:
        """Names and scores of the best photos."""
        query = self._encoder.encode_sentences([sentence])[0]
        scores = self._matrix @ query
        order = np.argsort(-scores)
        fulfil = (row for row in order if wanted is None or wanted.holds(self._photos[row]))
        best = itertools.islice(fulfil, PAGE)
        return [(self._photos[row].path.name, float(scores[row])) for row in best]


def take_rounds(
    connection: http.client.HTTPConnection, plain: Plain, rounds: int, questions: int
) -> Iterator[dict[str, Any]]:
    """Ask every kind of question in turns; the first round is not counted."""
    sentences = all_sentences()
    filters = {"no filter": itertools.repeat(None), **fresh_filters()}
    known = {kind: next(fresh) for kind, fresh in filters.items()}
    with typer.progressbar(range(rounds + 1), label="asking", file=sys.stderr) as turns:
        for turn in turns:
            for kind, fresh in filters.items():
                tries = [(known[kind], ("new", "again"))] * questions
                if known[kind] is not None:
                    tries.append((next(fresh), ("first",)))
                for wanted, states in tries:
                    sentence = next(sentences)
                    measured = _measured(connection, plain, sentence, wanted, states)
                    for state, ms in measured.items() if turn else ():
                        yield {"round": turn, "filter": kind, "question": state, "ms": ms}


def compare(raw: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Percentiles by filter and question, and of all warm questions together."""
    kinds = list(dict.fromkeys((row["filter"], row["question"]) for row in raw))
    results: dict[str, dict[str, dict[str, float]]] = {}
    for kind, state in kinds:
        times = [row["ms"] for row in raw if (row["filter"], row["question"]) == (kind, state)]
        results.setdefault(kind, {})[state] = _percentiles(times)
    warm = [row["ms"] for row in raw if row["question"] in ("new", "again")]
    results["all"] = {"warm": {**_percentiles(warm), "goal_p95": GOAL_MS}}
    return results


def table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """Markdown, in milliseconds."""
    lines = ["| filter | question | p50 | p95 | p99 | asked |", "|---|---|---:|---:|---:|---:|"]
    for kind, states in results.items():
        for state, row in states.items():
            figures = " | ".join(f"{row[name]:.1f}" for name in ("p50", "p95", "p99"))
            lines.append(f"| {kind} | {state} | {figures} | {row['requests']:.0f} |")
    return "\n".join(lines)


def all_sentences() -> Iterator[str]:
    """Sentences, each once."""
    combined = [" ".join(words) for words in itertools.product(*_WORDS)]
    random.Random(0).shuffle(combined)
    # More are seldom needed, and another number makes another sentence.
    return (f"{one} {number}".strip() for number in ("", *range(2, 100)) for one in combined)


def fresh_filters() -> dict[str, Iterator[Filter]]:
    """For each kind, filters that differ."""
    return {
        "after:": (_after(place) for place in itertools.count()),
        "type:": itertools.cycle(
            _of_types(types) for n in (1, 2, 3) for types in itertools.combinations(TYPES[1:], n)
        ),
        "in:": (_in_trip(place % TRIPS) for place in itertools.count(7)),
    }


def _after(place: int) -> Filter:
    day = datetime(FIRST + 10, 1 + place % 12, 1 + place // 12 % 28, tzinfo=UTC)
    return Filter(f"after:{day:%Y-%m-%d}", lambda photo: photo.taken_at >= day.timestamp())


def _of_types(types: tuple[str, ...]) -> Filter:
    return Filter(" ".join(f"type:{one}" for one in types), lambda photo: photo.type in types)


def _in_trip(number: int) -> Filter:
    name = f"trip {number:03}"
    return Filter(f'in:"{name}"', lambda photo: photo.path.parent.name == name)


def _measured(
    connection: http.client.HTTPConnection,
    plain: Plain,
    sentence: str,
    wanted: Filter | None,
    states: tuple[str, ...],
) -> dict[str, float]:
    """Milliseconds of the server in each state, and of the plain script."""
    q = sentence if wanted is None else f"{sentence} {wanted.text}"
    times = {}
    for state in states:
        started = time.perf_counter()
        connection.request(
            "GET", f"/api/libraries/photos/photos?{urlencode({'q': q, 'limit': PAGE})}"
        )
        answer = connection.getresponse()
        content = answer.read()
        times[state] = (time.perf_counter() - started) * 1e3
        if answer.status != 200:
            _fail(f"{q}: the server answered {answer.status} {content[:200]!r}")
    started = time.perf_counter()
    expected = plain.ask(sentence, wanted)
    times["plain"] = (time.perf_counter() - started) * 1e3
    _check(q, json.loads(content)["photos"], expected)
    return times


def _check(q: str, found: list[dict[str, Any]], expected: list[tuple[str, float]]) -> None:
    scores = [photo["score"] for photo in found]
    if len(found) != len(expected) or not np.allclose(
        scores, [score for _, score in expected], atol=_ROUNDING
    ):
        _fail(f"{q}: the server and the plain script found different photos")
    # Where scores are nearly equal, the last places may be another's.
    names = {name for name, score in expected if score > expected[-1][1] + 2 * _ROUNDING}
    if not names <= {photo["name"] for photo in found}:
        _fail(f"{q}: the server left out {len(names)} better photos")


def _percentiles(times: list[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    return {"p50": float(p50), "p95": float(p95), "p99": float(p99), "requests": len(times)}


def _fail(message: str) -> None:
    typer.echo(message, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
