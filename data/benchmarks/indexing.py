"""Indexing: photos a second from files to a committed index, against two other ways.

Each takes the same photos, in turns:

- ``leanclip index``: a new process, an empty catalog, everything until the last commit;
- ``plain loop``: Pillow decodes each photo whole, resizes it to 224 pixels, and a ViT-B/32
  (open_clip's shape, random weights, ONNX Runtime) embeds batches of eight, one step after
  the other, as a short script or rclip does it. Starting up is not counted for it;
- ``decoding only``: libjpeg decodes each photo at the fraction that leanclip decodes at, on
  all cores, and nothing else is done. Nothing that looks at every photo can be faster.

Photos of 12 megapixels are sample photos enlarged, with a little noise, because an enlarged
photo compresses, and so decodes, better than what a camera writes; small ones are 640 pixels
wide.

    python data/benchmarks/indexing.py
    python data/benchmarks/indexing.py --also build/faster     # a second bundle, in the same turns
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnxruntime
import typer
from figures import HERE, PHOTOS, stamp, summary, write_figures
from PIL import Image
from targets.models import baseline

from export.bundle import pack_bundle
from retrieval.encode.load import open_encoder
from retrieval.vision.decode import DRAFT_MARGIN

LEANCLIP, PLAIN, LIMIT = "leanclip index", "plain loop", "decoding only"
SIZES = {"12 megapixels": (4000, 3000), "640 pixels": (640, 480)}
PACKAGES = ("leanclip", "onnxruntime", "pillow", "numpy")
_PLAIN_SIDE = 224
_PLAIN_BATCH = 8

Contender = Callable[[Sequence[Path]], float]


def main(
    large: Annotated[int, typer.Option(min=8, help="Photos of 12 megapixels.")] = 1_500,
    small: Annotated[int, typer.Option(min=8, help="Small photos.")] = 6_000,
    plain: Annotated[int, typer.Option(min=8, help="Photos for the plain loop.")] = 200,
    also: Annotated[
        list[Path] | None, typer.Option(help="Bundles to index with, beside the default one.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Counted turns of each.")] = 3,
    work: Annotated[
        Path | None, typer.Option(help="Folder for photos and model; else a temporary one.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "indexing",
) -> None:
    """Make photos, let the contenders take turns, report medians and ratios."""
    stamped = stamp(
        threads=f"as each chooses, {os.cpu_count()} processors",
        statistic=f"median of {runs} runs, in turns after one uncounted turn",
        packages=PACKAGES,
    )
    raw: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="leanclip-benchmark-") as temporary:
        folder = Path(temporary) if work is None else work.absolute()
        session = _plain_model(folder / "vit-b-32")
        for (size, shape), count in zip(SIZES.items(), (large, small), strict=True):
            photos = make_photos(folder / size.replace(" ", "-"), count, shape)
            contenders: dict[str, tuple[Contender, Sequence[Path]]] = {
                LEANCLIP: (partial(_leanclip, folder / "home", "default"), photos),
                **{
                    f"{LEANCLIP}, {bundle.name}": (
                        partial(_leanclip, folder / "home", str(bundle)),
                        photos,
                    )
                    for bundle in also or ()
                },
                PLAIN: (lambda some: _plain(some, session), photos[:plain]),
                LIMIT: (_decoding, photos),
            }
            raw += take_turns(size, contenders, runs)
    results = compare(raw)
    write_figures(out, stamped=stamped, results=results, raw=raw)
    typer.echo(table(results))


def make_photos(folder: Path, count: int, shape: tuple[int, int]) -> list[Path]:
    """Write ``count`` different JPEG files of one size, unless they are there.

    Every sample is enlarged once; its copies differ in a comment and so in their sizes, as
    photos do: none is taken for one that was indexed before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    photos = [folder / f"{number:05}.jpg" for number in range(count)]
    if all(path.exists() for path in photos):
        return photos
    chance = np.random.default_rng(0)
    samples = [path for path in sorted(PHOTOS.iterdir()) if path.suffix == ".jpg"]
    for first, sample in enumerate(samples[:count]):
        with Image.open(sample) as opened:
            enlarged = opened.convert("RGB").resize(shape, Image.Resampling.BICUBIC)
        noise = chance.integers(-3, 4, (shape[1], shape[0], 1), np.int16)
        noisy = np.clip(np.asarray(enlarged, np.int16) + noise, 0, 255).astype(np.uint8)
        written = io.BytesIO()
        Image.fromarray(noisy).save(written, "jpeg", quality=92)
        for path in photos[first :: len(samples)]:
            # No two of one size: leanclip would take them for copies and hash them beforehand.
            path.write_bytes(_commented(written.getvalue(), "." * (1 + int(path.stem))))
    return photos


def _commented(jpeg: bytes, text: str) -> bytes:
    """The file with a comment right behind its first marker."""
    comment = text.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def take_turns(
    size: str, contenders: dict[str, tuple[Contender, Sequence[Path]]], runs: int
) -> list[dict[str, Any]]:
    """Run the contenders in turns; the first turn fills the system's cache and is not counted."""
    raw = []
    with typer.progressbar(range(runs + 1), label=size, file=sys.stderr) as turns:
        for turn in turns:
            for name, (run, photos) in contenders.items():
                seconds = run(photos)
                if turn:
                    rate = len(photos) / seconds
                    row = {"size": size, "contender": name, "turn": turn, "photos": len(photos)}
                    raw.append(row | {"seconds": seconds, "photos_per_second": rate})
    return raw


def compare(raw: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """For each size, every contender's rate, and leanclip's against the others."""
    results: dict[str, Any] = {}
    for size in SIZES:
        rates = {
            name: summary(
                [
                    row["photos_per_second"]
                    for row in raw
                    if (row["size"], row["contender"]) == (size, name)
                ]
            )
            for name in dict.fromkeys(row["contender"] for row in raw)
        }
        plain, limit = rates[PLAIN]["median"], rates[LIMIT]["median"]
        results[size] = {
            "photos_per_second": rates,
            "to_plain_loop": {name: rate["median"] / plain for name, rate in rates.items()},
            "to_decoding_only": {name: rate["median"] / limit for name, rate in rates.items()},
        }
    return results


def table(results: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        "| photos | contender | photos a second | of plain loop | of decoding only |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for size, found in results.items():
        for name, rate in found["photos_per_second"].items():
            plain, limit = found["to_plain_loop"][name], found["to_decoding_only"][name]
            lines.append(f"| {size} | {name} | {rate['median']:.1f} | {plain:.1f}x | {limit:.0%} |")
    return "\n".join(lines)


def _leanclip(home: Path, model: str, photos: Sequence[Path]) -> float:
    shutil.rmtree(home, ignore_errors=True)
    command = [sys.executable, "-m", "retrieval.cli", "index", str(photos[0].parent)]
    command += ["--home", str(home), "--model", model]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def _plain(photos: Sequence[Path], session: onnxruntime.InferenceSession) -> float:
    name = session.get_inputs()[0].name
    started = time.perf_counter()
    for first in range(0, len(photos), _PLAIN_BATCH):
        batch = [_plain_pixels(path) for path in photos[first : first + _PLAIN_BATCH]]
        session.run(None, {name: np.stack(batch)})
    return time.perf_counter() - started


def _plain_pixels(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        photo = opened.convert("RGB")
    scale = _PLAIN_SIDE / min(photo.size)
    photo = photo.resize(
        (round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BICUBIC
    )
    left, top = (photo.width - _PLAIN_SIDE) // 2, (photo.height - _PLAIN_SIDE) // 2
    square = photo.crop((left, top, left + _PLAIN_SIDE, top + _PLAIN_SIDE))
    return np.asarray(square).transpose(2, 0, 1)


def _decoding(photos: Sequence[Path]) -> float:
    side = DRAFT_MARGIN * open_encoder("default").preprocessing.size
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda path: _decode_at_a_fraction(path, side), photos))
    return time.perf_counter() - started


def _decode_at_a_fraction(path: Path, side: int) -> None:
    with Image.open(path) as photo:
        photo.draft("RGB", (side, side))
        photo.load()


def _plain_model(bundle: Path) -> onnxruntime.InferenceSession:
    if not bundle.exists():
        typer.echo("writing a random ViT-B/32", err=True)
        pack_bundle(baseline().load(), bundle, precision="fp32")
    return onnxruntime.InferenceSession(bundle / "onnx" / "image-fp32.onnx")


if __name__ == "__main__":
    typer.run(main)
