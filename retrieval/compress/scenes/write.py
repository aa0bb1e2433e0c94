"""Write a set of captioned scenes: a corpus of pairs on which learning shows quickly."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from retrieval.compress.scenes.backgrounds import Backgrounds
from retrieval.compress.scenes.compose import render
from retrieval.compress.scenes.grammar import captions as captions_of
from retrieval.compress.scenes.scene import SHARDS, Scene, draw_scene
from retrieval.spec.errors import CorpusError
from retrieval.spec.files import replacing_folder, sha256_file, write_json

PAIRS = "pairs.jsonl"
SETTINGS = "scenes.json"
LARGEST_COUNT = 200_000
LARGEST_CAPTIONS = 5

_GENERATION = 2
"""Raised when the same seed gives other scenes than before."""


def write_scenes(
    folder: Path,
    *,
    count: int,
    seed: int,
    size: int = 224,
    backgrounds: Sequence[Path] = (),
    captions: int = 3,
    progress: Callable[[], None] | None = None,
) -> Path:
    """Write ``count`` captioned scenes to ``folder`` and return its ``pairs.jsonl``.

    The same arguments give the same scenes. No composition occurs twice in a set, and sets
    whose seeds differ modulo 16 have none in common, so that seeds 0 and 1 can serve as
    training and development set. A smaller set is the beginning of a larger one of the
    same seed.

    Args:
        folder: Gets ``images/000000.jpg`` and so on, ``pairs.jsonl`` with one line
            ``{"image": "images/000000.jpg", "captions": [...]}`` for each scene, and
            ``scenes.json`` with these arguments. It appears whole or not at all.
        count: Number of scenes, at most 200,000.
        seed: Selects the scenes.
        size: Width and height of a picture in pixels.
        backgrounds: Photos whose random parts lie behind the things; with none, colour
            gradients do.
        captions: Sentences for each scene, at most 5.
        progress: Called after each scene.

    Raises:
        CorpusError: An argument is out of range, a background is not a photo, or the folder
            holds anything but the finished set that these arguments describe.
    """
    _check(count=count, size=size, captions=captions)
    settings = _settings(count, seed, size, backgrounds, captions)
    pairs = folder / PAIRS
    if _is_finished(folder, settings):
        return pairs
    makers = Backgrounds(backgrounds, size)
    with replacing_folder(folder) as temporary:
        (temporary / "images").mkdir()
        with (temporary / PAIRS).open("w", encoding="utf-8") as lines:
            for number, scene in enumerate(draw_scenes(count, seed)):
                rng = random.Random(f"leanclip scene {seed}/{number}")
                name = f"images/{number:06d}.jpg"
                picture = render(scene, makers.draw(rng), rng)
                picture.save(temporary / name, quality=88)
                pair = {"image": name, "captions": captions_of(scene, rng, captions)}
                lines.write(json.dumps(pair) + "\n")
                if progress is not None:
                    progress()
        write_json(temporary / SETTINGS, settings)
    return pairs


def draw_scenes(count: int, seed: int) -> Iterator[Scene]:
    """``count`` different scenes of the shard that ``seed`` selects."""
    rng = random.Random(f"leanclip scenes {seed}")
    seen: set[Scene] = set()
    while len(seen) < count:
        scene = draw_scene(rng)
        if scene not in seen and scene.shard == seed % SHARDS:
            seen.add(scene)
            yield scene


def _check(*, count: int, size: int, captions: int) -> None:
    for name, value, lowest, highest in (
        ("count", count, 1, LARGEST_COUNT),
        ("size", size, 32, 1024),
        ("captions", captions, 1, LARGEST_CAPTIONS),
    ):
        if not lowest <= value <= highest:
            raise CorpusError(f"{name} is {value}; scenes need {lowest} to {highest}")


def _settings(
    count: int, seed: int, size: int, backgrounds: Sequence[Path], captions: int
) -> dict[str, Any]:
    try:
        hashes = [sha256_file(path) for path in backgrounds]
    except OSError as error:
        raise CorpusError(f"{error.filename} cannot be read: {error.strerror}") from error
    return {
        "generation": _GENERATION,
        "count": count,
        "seed": seed,
        "size": size,
        "captions": captions,
        "backgrounds": hashes,
    }


def _is_finished(folder: Path, settings: dict[str, Any]) -> bool:
    """Whether ``folder`` holds this very set; raises when it holds anything else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        found = json.loads((folder / SETTINGS).read_text("utf-8"))
    except (OSError, ValueError):
        found = None
    if found != settings:
        raise CorpusError(
            f"{folder} is not empty and is not this set of scenes; remove it or choose another"
        )
    return True
