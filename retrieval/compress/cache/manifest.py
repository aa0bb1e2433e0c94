"""``cache.json``: which teacher made the vectors beside it, and from what kind of input."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from retrieval.compress.cache.corpus import Kind
from retrieval.compress.data.views import ViewRules
from retrieval.encode.protocol import Encoder
from retrieval.spec.base import Spec
from retrieval.spec.errors import CacheError
from retrieval.spec.files import sha256_json, write_json
from retrieval.spec.formats import refuse_newer

CACHE_FORMAT = 1
MANIFEST = "cache.json"


class CacheManifest(Spec):
    """What a cache says of itself."""

    format: Annotated[int, Field(ge=1)] = CACHE_FORMAT
    teacher: str
    fingerprint: str
    """Names the teacher's embedding space, as `Encoder.fingerprint` does."""
    key: str
    """Hash of the teacher, the preprocessing, the kind of input and the rules of views."""
    kind: Kind
    dim: Annotated[int, Field(ge=1)]
    views: ViewRules | None = None
    """How far the views may go that were embedded; None where photos were embedded whole."""
    shards: int | None = None
    """How many there are; None until the last one is written."""


def manifest_for(encoder: Encoder, kind: Kind, views: ViewRules | None = None) -> CacheManifest:
    """The manifest of an unfinished cache of one teacher and one kind of input."""
    parts = [encoder.fingerprint, encoder.preprocessing.model_dump(mode="json"), kind]
    if views is not None:
        parts.append(views.model_dump(mode="json"))
    return CacheManifest(
        teacher=encoder.name,
        fingerprint=encoder.fingerprint,
        key=sha256_json(parts),
        kind=kind,
        dim=encoder.dim,
        views=views,
    )


def read_manifest(folder: Path) -> CacheManifest | None:
    """The manifest of a cache, or None when the folder has none.

    Raises:
        CacheError: The manifest is damaged or of a newer format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        text = path.read_text("utf-8")
        refuse_newer(path, text, CACHE_FORMAT, CacheError)
        return CacheManifest.model_validate_json(text)
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise CacheError(f"{path} is damaged ({first}); remove {folder} and cache again") from error


def write_manifest(folder: Path, manifest: CacheManifest) -> None:
    """Write ``cache.json``, whole or not at all."""
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))


def refuse_other(folder: Path, wanted: CacheManifest) -> CacheManifest | None:
    """The manifest in ``folder``, when vectors of ``wanted`` may be stored there.

    Returns:
        None when the folder is missing or empty.

    Raises:
        CacheError: It holds vectors of another teacher, preprocessing or kind of input, or
            something that is no cache of ours.
    """
    found = read_manifest(folder)
    if found is None:
        if folder.is_dir() and not any(folder.iterdir()) or not folder.exists():
            return None
        raise CacheError(
            f"{folder} holds something else than a cache that leanclip wrote; choose another folder"
        )
    if found.key == wanted.key:
        return found
    if found.kind != wanted.kind:
        reason = f"holds embeddings of {found.kind}, not of {wanted.kind}"
    elif found.fingerprint != wanted.fingerprint:
        reason = (
            f"was made by another teacher: {found.teacher} ({found.fingerprint[:12]}), "
            f"not {wanted.teacher} ({wanted.fingerprint[:12]})"
        )
    elif found.views != wanted.views:
        reason = "holds views of another augmentation"
    else:
        reason = f"was made by {found.teacher} with another preprocessing"
    raise CacheError(f"{folder} {reason}; choose another folder, or remove this one")
