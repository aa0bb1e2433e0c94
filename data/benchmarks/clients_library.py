"""The library that ``clients.py`` searches: photos, `leanclip index` and `leanclip serve`."""

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from figures import PHOTOS
from PIL import Image

_SIDES = (640, 480)


def make_photos(folder: Path, count: int, *, seed: int) -> None:
    """Write different JPEG files: parts of the sample photos."""
    folder.mkdir(parents=True)
    dice = random.Random(seed)
    samples = [path for path in sorted(PHOTOS.iterdir()) if path.suffix in (".jpg", ".png")]
    opened = [Image.open(path).convert("RGB") for path in samples]
    for number in range(count):
        photo = dice.choice(opened)
        share = dice.uniform(0.3, 0.9)
        width, height = int(photo.width * share), int(photo.height * share)
        left, top = dice.randint(0, photo.width - width), dice.randint(0, photo.height - height)
        part = photo.resize(_SIDES, box=(left, top, left + width, top + height))
        part.save(folder / f"{number:05}.jpg", quality=85)


@contextmanager
def served(home: Path) -> Iterator[str]:
    """A server of the library in ``home``, as host and port; it ends with the block."""
    command = [*_leanclip("serve"), "--home", str(home), "--port", "0"]
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True)
        assert process.stdout is not None
        try:
            if not (address := process.stdout.readline().strip()):
                complaints.seek(0)
                raise RuntimeError(f"leanclip serve ended: {complaints.read().strip()}")
            yield urlsplit(address).netloc
        finally:
            process.terminate()
            process.communicate()


def index(home: Path, pictures: Path, model: str) -> None:
    """Index all that lies below ``pictures``.

    Raises:
        RuntimeError: It failed, or some photo cannot be searched.
    """
    command = [*_leanclip("index"), str(pictures), "--home", str(home), "--model", model, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    there = sum(path.is_file() for path in pictures.rglob("*"))
    if done.returncode or json.loads(done.stdout)["photos"] != there:
        raise RuntimeError(f"leanclip index: {done.stdout} {done.stderr}")


def _leanclip(verb: str) -> list[str]:
    return [sys.executable, "-m", "retrieval.cli", verb]
