"""Photos in folders and tar files, and how another tool reads what became of them."""

import io
import tarfile
from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from tests.fakes import COLOURS


class AsReadElsewhere(NamedTuple):
    """An output folder through the eyes of numpy, pyarrow and FAISS."""

    images: np.ndarray
    texts: np.ndarray | None
    rows: list[dict]
    index: faiss.Index
    text_index: faiss.Index | None


def colour(number: int) -> tuple[int, int, int]:
    """A colour of its own for each number below 10,000."""
    return 40 + number % 10 * 20, 40 + number // 10 % 10 * 20, 40 + number // 100 * 20


def fill_folder(folder: Path, count: int, size: int = 24) -> Path:
    """``00000.png`` and so on, each of one colour."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (size, size), colour(number)).save(folder / f"{number:05}.png")
    return folder


def png(name: str) -> bytes:
    """A photo of one of the named colours."""
    packed = io.BytesIO()
    Image.new("RGB", (24, 24), COLOURS[name]).save(packed, "PNG")
    return packed.getvalue()


def write_tar(path: Path, **files: bytes) -> Path:
    """A tar file; an underscore in a name stands for the dot."""
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("_", "."))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def read_elsewhere(out: Path) -> AsReadElsewhere:
    """Files of each kind in the order of their names, as clip-retrieval and autofaiss do."""

    def joined(kind):
        parts = sorted((out / kind).glob("*.npy"))
        return np.concatenate([np.load(part) for part in parts]) if parts else None

    tables = [pq.read_table(part) for part in sorted((out / "metadata").glob("*.parquet"))]
    rows = [row for table in tables for row in table.to_pylist()]
    text_index = out / "text.index"
    return AsReadElsewhere(
        joined("img_emb"),
        joined("text_emb"),
        rows,
        # How clip-retrieval opens an index, by default and memory-mapped.
        faiss.read_index(str(out / "image.index"), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY),
        faiss.read_index(str(text_index)) if text_index.exists() else None,
    )
