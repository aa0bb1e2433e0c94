"""``leanclip status``: what is indexed, from which folders, by which model."""

import json
import time
from pathlib import Path
from typing import Any

from retrieval.catalog.location import library_home
from retrieval.cli.options import HomeOption, JsonOption
from retrieval.cli.photos import print_skipped, shown, skipped_as_json


def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Say what is indexed, from which folders, by which model, and what was skipped.

    \b
    leanclip status
    leanclip status --json
    """
    place = library_home(home)
    found = _overview(place)
    if as_json:
        print(json.dumps(found | {"skipped": skipped_as_json(found["skipped"])}))
        return
    print(f"library  {shown(place)} ({found['bytes'] / 1e6:.1f} MB)")
    if not found["folders"] and not found["models"]:
        print("nothing is indexed yet; run: leanclip index FOLDER")
        return
    for folder in found["folders"]:
        path = shown(Path(folder["path"]))
        videos = f" ({folder['videos']:,} of them videos)" if folder["videos"] else ""
        read = _read(folder["indexed_at"])
        print(f"folder   {path}: {folder['photos']:,} photos{videos}, {read}")
        if folder["rules"]:
            print(f"         rules {json.dumps(folder['rules'])}")
    for model in found["models"]:
        serving = ", searched unless --model says otherwise" if model["serving"] else ""
        size = f"{model['photos']:,} photos, {model['dim']} numbers each"
        print(f"model    {model['name']} ({model['source'] or 'unnamed'}): {size}{serving}")
    print_skipped(found["skipped"])


def _read(indexed_at: int) -> str:
    if not indexed_at:
        return "not yet read to the end"
    return time.strftime("read to the end %Y-%m-%d %H:%M", time.localtime(indexed_at))


def _overview(place: Path) -> dict[str, Any]:
    from retrieval.catalog.catalog import CATALOG_FILE, Catalog

    empty: dict[str, Any] = {"folders": [], "models": [], "skipped": []}
    if not (place / CATALOG_FILE).exists():
        return {"home": str(place), "bytes": 0, **empty}
    with Catalog.open(place / CATALOG_FILE) as catalog:
        serving = catalog.serving()
        folders = [
            {
                "path": str(folder.path),
                "photos": folder.photos,
                "videos": folder.videos,
                "skipped": folder.skipped,
                "indexed_at": folder.indexed_at,
                "rules": json.loads(folder.rules),
            }
            for folder in catalog.folders()
        ]
        models = [
            {
                "name": count.space.model,
                "source": count.space.source,
                "fingerprint": count.space.fingerprint,
                "dim": count.space.dim,
                "photos": count.photos,
                "serving": serving is not None and count.space.id == serving.id,
            }
            for count in catalog.spaces()
        ]
        skipped = catalog.skipped()
    return {
        "home": str(place),
        "bytes": _bytes(place),
        "folders": folders,
        "models": models,
        "skipped": skipped,
    }


def _bytes(place: Path) -> int:
    """Bytes of the library, without the fetched models that may lie in its home."""
    from retrieval.hub.store import models_folder

    models = models_folder().resolve()
    files = (file for file in place.rglob("*") if file.is_file())
    return sum(file.stat().st_size for file in files if models not in file.resolve().parents)
