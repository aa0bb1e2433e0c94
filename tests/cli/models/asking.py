"""What tests of ``leanclip models`` change on the server, and ask the command."""

import json
from pathlib import Path

from retrieval.hub.store import models_folder
from retrieval.spec.bundle import MANIFEST
from retrieval.spec.files import write_json
from tests.fixtures.range_server import RangeServer

IMAGE = "onnx/image.onnx"
"""One of the files that are served."""


def bundle_of(server: RangeServer) -> Path:
    return server.folder / "small"


def change_manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    write_json(folder / MANIFEST, manifest | changes)


def refused(leanclip, *arguments: object) -> str:
    """Why ``leanclip models`` refuses: one line, and no new model."""
    before = sorted(models_folder().glob("[!.]*"))
    status, said, wrong = leanclip("models", *arguments)
    assert (status, said) == (1, "")
    lines = [line for line in wrong.splitlines() if line.startswith("leanclip: ")]
    assert len(lines) == 1
    assert "Traceback" not in wrong
    assert sorted(models_folder().glob("[!.]*")) == before
    assert not list(models_folder().glob(".manifest.*"))
    return lines[0]


def listed(leanclip) -> dict[str, dict]:
    status, said, _ = leanclip("models", "--json")
    assert status == 0
    return {model["name"]: model for model in json.loads(said)["models"]}
