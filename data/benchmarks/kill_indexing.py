"""Kills indexing and compaction at random moments, many times, and looks what is left.

One small library lives through all kills. Before each, a few of its photos are added, changed,
renamed, copied or deleted. A process of its own then indexes them and compacts the library,
and reports each batch that it has committed; ``SIGKILL`` comes after a random number of
reports and a random part of a moment. Then, and only then, the library is looked at:

- SQLite's integrity check passes, and catalog and vectors agree (`leanclip doctor`'s checks);
- no photo is missing that was reported to be searchable before the kill;
- every vector belongs to the photo that the catalog says: it is the embedding of its pixels;
- every few kills, a run that is left alone finds exactly the photos that are there.

    python data/benchmarks/kill_indexing.py
    python data/benchmarks/kill_indexing.py --kills 50
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from figures import HERE, stamp, write_figures
from PIL import Image

from retrieval.catalog.catalog import CATALOG_FILE, Catalog
from retrieval.catalog.upkeep import live_rows
from retrieval.search.library import Library
from retrieval.search.upkeep.checks import findings
from retrieval.search.upkeep.files import vector_file
from retrieval.search.upkeep.recover import damage
from retrieval.search.upkeep.vacuum import vacuum
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.preprocess import load_pixels

PHOTOS = 96
LEFT_ALONE_EVERY = 10
_DIM = 32
_LONGEST_PAUSE = 0.03
_NURSERY = "--nursery"


class MeanColour:
    """An encoder that takes no time: a random projection of the mean colour."""

    name = fingerprint = "mean-colour"
    dim = _DIM
    preprocessing = Preprocessing(size=8)

    def __init__(self) -> None:
        self._projection = np.random.default_rng(0).normal(size=(3, _DIM))

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Embeddings ``(batch, 32)`` of length one."""
        vectors = (pixels.mean(axis=(2, 3)) + 1) @ self._projection
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class LostError(Exception):
    """A kill cost something that it must not cost."""


def main(
    kills: Annotated[int, typer.Option(min=1, help="How often to kill.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of what happens to the photos, and when.")] = 0,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "kill_indexing",
) -> None:
    """Kill so often, and write what happened; stops at the first loss."""
    stamped = stamp(
        threads="as leanclip index chooses",
        statistic=f"{kills} kills",
        packages=("leanclip", "numpy", "pillow"),
    )
    raw = []
    with (
        tempfile.TemporaryDirectory(prefix="leanclip-kill-") as folder,
        typer.progressbar(length=kills, label="killing", file=sys.stderr) as bar,
    ):
        for trial in trials(Path(folder), kills=kills, seed=seed):
            raw.append(trial)
            bar.update(1)
    results = summary_of(raw)
    write_figures(out, stamped=stamped, results=results, raw=raw)
    typer.echo(table(results))


def summary_of(raw: list[dict[str, Any]]) -> dict[str, Any]:
    """What trials come to that lost nothing: `trials` raises at the first loss."""
    return {
        "kills": len(raw),
        "last_heard_before_the_end": {
            word: sum(row["last_heard"] == word for row in raw)
            for word in sorted({row["last_heard"] for row in raw})
        },
        "batches_reported_before_the_kill": sum(row["reports"] for row in raw),
    }


def table(results: dict[str, Any]) -> str:
    """Markdown."""
    heard = results["last_heard_before_the_end"].items()
    lines = ["| last heard before the kill | kills | lost or broken |", "| --- | ---: | ---: |"]
    # `trials` would not have come to its end otherwise.
    lines += [f"| {word} | {count:,} | 0 |" for word, count in heard]
    lines.append(f"| together | {results['kills']:,} | 0 |")
    reported = results["batches_reported_before_the_kill"]
    return "\n".join(
        [*lines, "", f"Before they were killed, the runs reported {reported:,} batches."]
    )


def trials(folder: Path, *, kills: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Kill and check, so many times.

    Raises:
        LostError: Something was lost or broken.
    """
    dice = random.Random(seed)
    home, photos = folder / "home", folder / "photos"
    photos.mkdir(parents=True)
    for number in range(PHOTOS):
        _paint(photos / f"{number}.png", dice)
    with closing(_Nursery()) as nursery:
        for trial in range(kills):
            _live(photos, dice)
            yield {"trial": trial, **_kill(nursery, home, photos, dice)}
            check(home, photos)
            if trial % LEFT_ALONE_EVERY == LEFT_ALONE_EVERY - 1 or trial == kills - 1:
                _left_alone(home, photos)


def check(home: Path, photos: Path) -> None:
    """Look whether a library that was just killed is sound.

    Raises:
        LostError: It is not.
    """
    if not (home / CATALOG_FILE).exists():
        return
    wrong = damage(home)
    if wrong is not None:
        raise LostError(f"the catalog is damaged: {wrong}")
    with Catalog.open(home / CATALOG_FILE) as catalog:
        for finding in findings(home, catalog, repair=False):
            # Files that nothing refers to are what a killed compaction may leave.
            if not finding.sound and "nothing refers to" not in finding.text:
                raise LostError(finding.text)
        space = catalog.space(MeanColour.fingerprint)
        if space is None:
            return
        encoder = MeanColour()
        vectors = vector_file(home, space).read(catalog.row_count(space))
        known = catalog.known_photos(photos, space)
        for row, photo in catalog.photos_at(live_rows(catalog, space).tolist(), space).items():
            if not photo.path.exists():
                continue
            state, remembered = photo.path.stat(), known[bytes(photo.path)]
            if (state.st_size, state.st_mtime_ns) != (remembered.size, remembered.mtime_ns):
                continue
            pixels = load_pixels(photo.path, encoder.preprocessing)
            if not np.allclose(encoder.encode_pixels(pixels[None])[0], vectors[row], atol=2e-3):
                raise LostError(f"row {row} is not the embedding of {photo.path}")


class _Nursery:
    """Starts processes that have everything imported already: it forks them off itself."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, _NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def start(self, home: Path, photos: Path) -> int:
        """Let a process index and compact; its id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(home), str(photos)]) + "\n")
        self._process.stdin.flush()
        return int(self.heard()[1])

    def heard(self) -> list[str]:
        """The words of the next line; ``gone`` follows the last one of a process."""
        assert self._process.stdout is not None
        words = self._process.stdout.readline().split()
        if not words:
            raise LostError("indexing failed; see above")
        return words

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def _kill(nursery: _Nursery, home: Path, photos: Path, dice: random.Random) -> dict[str, Any]:
    process = nursery.start(home, photos)
    heard = [nursery.heard()]
    for _ in range(dice.randrange(8)):
        if heard[-1][0] != "finished":
            heard.append(nursery.heard())
    time.sleep(dice.random() * _LONGEST_PAUSE)
    os.kill(process, signal.SIGKILL)
    while heard[-1][0] != "gone":
        heard.append(nursery.heard())
    counts = [int(words[1]) for words in heard if words[0] == "committed"]
    if counts and _searchable(home) < counts[-1]:
        raise LostError(f"{counts[-1]} photos were reported, {_searchable(home)} are left")
    return {"reports": len(counts), "last_heard": heard[-2][0]}


def _searchable(home: Path) -> int:
    with Library.open(home, MeanColour()) as library:
        return library.count()


def _left_alone(home: Path, photos: Path) -> None:
    with Library.open(home, MeanColour()) as library:
        library.ensure_index(photos)
        vacuum(home, library.catalog)
        found = library.count()
        wrong = [f.text for f in findings(home, library.catalog, repair=False) if not f.sound]
    there = len(list(photos.iterdir()))
    if found != there or wrong:
        raise LostError(f"{found} of {there} photos are found; {wrong}")


def _live(photos: Path, dice: random.Random) -> None:
    """What happens to a folder of photos between two runs."""
    for _ in range(dice.randint(8, 40)):
        files = sorted(photos.iterdir())
        one, new = dice.choice(files), photos / f"{dice.getrandbits(48)}.png"
        match dice.choice(("add", "change", "rename", "copy", "delete")):
            case "add":
                _paint(new, dice)
            case "change":
                _paint(one, dice)
            case "rename":
                one.rename(new)
            case "copy":
                shutil.copyfile(one, new)
            case "delete" if len(files) > PHOTOS:
                one.unlink()


def _paint(path: Path, dice: random.Random) -> None:
    colour = tuple(dice.randrange(256) for _ in range(3))
    side = dice.randint(8, 40)
    Image.new("RGB", (side, side), colour).save(path)


def _child(home: Path, photos: Path) -> None:
    with Library.open(home, MeanColour()) as library:
        _say("started", os.getpid())
        _say("indexing")
        library.ensure_index(photos, progress=lambda _: _say("committed", library.count()))
        _say("compacting")
        vacuum(home, library.catalog)
        _say("finished")
        # The signal always finds a process: it waits for it.
        signal.pause()


def _nursery() -> None:
    while line := sys.stdin.readline():
        process = os.fork()
        if not process:
            try:
                _child(*map(Path, json.loads(line)))
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(1)
        _, how = os.waitpid(process, 0)
        if os.waitstatus_to_exitcode(how) != -signal.SIGKILL:
            sys.exit(1)
        _say("gone")


def _say(*words: object) -> None:
    typer.echo(" ".join(map(str, words)))
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:] == [_NURSERY]:
        _nursery()
    else:
        typer.run(main)
