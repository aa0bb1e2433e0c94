"""Golden files that expect what a model does not compute, for tests of the self-test."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from retrieval.spec.bundle import GOLDEN, MANIFEST
from retrieval.spec.files import sha256_file, write_json


def change_golden(bundle: Path, edit: Callable[[Any], object]) -> None:
    """Edit a bundle's golden file, and let the manifest promise what came of it.

    Files are replaced rather than changed, since they may be links to others.
    """
    golden = json.loads((bundle / GOLDEN).read_text("utf-8"))
    edit(golden)
    write_json(bundle / GOLDEN, golden)
    manifest = json.loads((bundle / MANIFEST).read_text("utf-8"))
    write_json(bundle / MANIFEST, manifest | {"golden_sha256": sha256_file(bundle / GOLDEN)})


def flip_byte(path: Path) -> None:
    """Change one byte in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)
