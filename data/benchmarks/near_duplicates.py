"""From which cosine on two photos are nearly the same, for `leanclip duplicates`.

Some photos are changed as people and programs change them: saved again, made smaller,
cropped, made brighter, turned a little. Each change should stay near its original, and no
two photos of the data, which are different, should be near each other. What is written down:
for several thresholds, the share of changed photos that are found, and the share of all photos
for which a different photo would be shown as a near duplicate. A library has many more pairs
of photos than these data, so the threshold to use lies a margin above the most alike of
different photos. Cosines of other models lie elsewhere: give a bundle to ``--model``, and its
threshold to ``leanclip duplicates --threshold``.

    python data/benchmarks/near_duplicates.py
    python data/benchmarks/near_duplicates.py --model BUNDLE --data captions.jsonl
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from figures import HERE, REPOSITORY, stamp, write_figures
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from retrieval.corpora.pairs import read_pairs
from retrieval.encode.batches import encode_photos
from retrieval.encode.load import open_encoder
from retrieval.encode.protocol import Encoder
from retrieval.vision.decode import open_photo

DATA = REPOSITORY / "data" / "downloads" / "flickr8k" / "dev.jsonl"
THRESHOLDS = (0.70, 0.75, 0.80, 0.84, 0.86, 0.88, 0.90, 0.92, 0.94, 0.96)
MARGIN = 0.1
OTHER = "another photo, the nearest"
PACKAGES = ("leanclip", "onnxruntime", "pillow", "numpy")

Change = Callable[[Image.Image, Path], None]


def _cropped(photo: Image.Image, share: float) -> Image.Image:
    width, height = photo.size
    left, top = round(width * share / 2), round(height * share / 2)
    return photo.crop((left, top, width - left, height - top))


def _half(photo: Image.Image) -> Image.Image:
    return photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.LANCZOS)


CHANGES: dict[str, Change] = {
    "JPEG, quality 40": lambda photo, path: photo.save(path, "JPEG", quality=40),
    "WebP, quality 60": lambda photo, path: photo.save(path, "WEBP", quality=60),
    "half the width": lambda photo, path: _half(photo).save(path, "PNG"),
    "cropped by 5 %": lambda photo, path: _cropped(photo, 0.05).save(path, "PNG"),
    "cropped by 15 %": lambda photo, path: _cropped(photo, 0.15).save(path, "PNG"),
    "brighter by 20 %": lambda photo, path: (
        ImageEnhance.Brightness(photo).enhance(1.2).save(path, "PNG")
    ),
    "turned by 2 degrees": lambda photo, path: _cropped(
        photo.rotate(2, Image.Resampling.BICUBIC), 0.08
    ).save(path, "PNG"),
    "without colour": lambda photo, path: photo.convert("L").save(path, "PNG"),
}


def main(
    model: Annotated[str, typer.Option(help="Bundle or checkpoint.")] = "default",
    data: Annotated[Path, typer.Option(help="Captioned photos; their captions are not used.")] = (
        DATA
    ),
    changed: Annotated[int, typer.Option(min=1, help="Photos that are changed.")] = 200,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "near_duplicates",
) -> None:
    """Embed photos and changed photos, and count at each threshold."""
    encoder = open_encoder(model)
    stamped = stamp(
        threads="as the back end chooses",
        statistic="one pass over all photos; does not vary between runs",
        packages=PACKAGES,
    )
    photos = [pair.image for pair in read_pairs(data)]
    embedded = _embedded(encoder, photos)
    others = embedded @ embedded.T
    np.fill_diagonal(others, -1.0)
    nearest = others.max(axis=1)
    raw = [
        {"change": name, "photo": photos[i].name, "cosine": float(cosine)}
        for name, cosines in changes_of(encoder, photos[:changed], embedded).items()
        for i, cosine in enumerate(cosines)
    ]
    raw += [
        {"change": OTHER, "photo": photo.name, "cosine": float(cosine)}
        for photo, cosine in zip(photos, nearest, strict=True)
    ]
    results = {"model": encoder.name, "fingerprint": encoder.fingerprint, **summarise(raw)}
    write_figures(out, stamped=stamped, results=results, raw=raw)
    typer.echo(table(results))


def changes_of(
    encoder: Encoder, photos: list[Path], embedded: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """For each kind of change, the cosine of every changed photo and its original."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="leanclip-benchmark-") as temporary:
        for name, change in CHANGES.items():
            typer.echo(name, err=True)
            paths = [Path(temporary) / f"{i}.photo" for i in range(len(photos))]
            for photo, path in zip(photos, paths, strict=True):
                change(open_photo(photo), path)
            found[name] = (_embedded(encoder, paths) * embedded[: len(photos)]).sum(axis=1)
    return found


def summarise(raw: list[dict[str, Any]]) -> dict[str, Any]:
    """Shares at or above each threshold, by kind of change, and the threshold to use."""
    kinds = dict.fromkeys(row["change"] for row in raw)
    cosines = {kind: np.array([r["cosine"] for r in raw if r["change"] == kind]) for kind in kinds}
    shares = {
        kind: {f"{t:.2f}": float((values >= t).mean()) for t in THRESHOLDS}
        for kind, values in cosines.items()
    }
    most_alike = float(cosines[OTHER].max())
    chosen = next((t for t in THRESHOLDS if t >= most_alike + MARGIN), None)
    return {"shares_at_or_above": shares, "most_alike": most_alike, "threshold": chosen}


def table(results: dict[str, Any]) -> str:
    """Markdown, for the documentation."""
    names = [f"{t:.2f}" for t in THRESHOLDS]
    lines = [f"| percent found | {' | '.join(names)} |", "| --- |" + " ---: |" * len(names)]
    for kind, shares in results["shares_at_or_above"].items():
        cells = " | ".join(f"{100 * shares[name]:.1f}" for name in names)
        lines.append(f"| {kind} | {cells} |")
    chosen = f"threshold: {results['threshold']}, {MARGIN} above {results['most_alike']:.3f}"
    return "\n".join([*lines, "", chosen])


def _embedded(encoder: Encoder, photos: list[Path]) -> NDArray[np.float32]:
    encoded = encode_photos(encoder, photos)
    if encoded.unreadable:
        typer.echo(f"cannot be read: {next(iter(encoded.unreadable.values()))}", err=True)
        sys.exit(1)
    return encoded.embeddings


if __name__ == "__main__":
    typer.run(main)
