"""The bundle: the contract between training and every device that searches."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from retrieval.spec.base import Spec
from retrieval.spec.errors import BundleError
from retrieval.spec.files import sha256_path
from retrieval.spec.formats import refuse_newer
from retrieval.spec.preprocessing import Preprocessing
from retrieval.spec.text import TextSpec
from retrieval.spec.tower import Tower

BUNDLE_FORMAT = 1
MANIFEST = "bundle.json"
GOLDEN = "golden.json"
"""Inputs with expected outputs, with which every host tests itself."""

Format = Literal["onnx", "coreml", "litert", "executorch"]
Precision = Literal["fp32", "fp16", "int8", "int8-static", "mixed", "int4", "pal8", "pal6", "pal4"]


class Interface(Spec):
    """How a host calls a tower file."""

    input: str
    """Name of the only input."""
    output: str
    """Name of the only output: embeddings of length one, float32 ``(batch, dim)``."""
    type: Literal["uint8", "float32", "int32", "image"]
    """Of the input: pixels 0 to 255, token ids, or an image object (Core ML)."""
    layout: Literal["NCHW", "NHWC"] | None = None
    """Order of an image tower's input dimensions; None for token ids and image objects."""
    batch: Annotated[int, Field(ge=1)] | None = None
    """Rows of one call; None: any number."""
    requires: str | None = None
    """The least system that runs it, such as ``iOS 17``."""


class TowerFile(Spec):
    """One tower in one format and precision."""

    tower: Tower
    format: Format
    precision: Precision
    file: str
    """Path relative to the bundle; a folder where the format is one (``.mlpackage``)."""
    sha256: str
    """Of the file, or of all files of the folder, see `retrieval.spec.files.sha256_path`."""
    bytes: Annotated[int, Field(ge=1)]
    interface: Interface | None = None
    """None in bundles of ONNX files that were written before it was recorded."""
    recommended: bool = False
    """Whether it is the smallest file of its format within the recall tolerance."""


class Bundle(Spec):
    """What ``bundle.json`` says; nothing outside this folder hard-codes any of it."""

    format: int = BUNDLE_FORMAT
    name: str
    embedding_dim: Annotated[int, Field(ge=1)]
    normalised: Literal[True] = True
    """Towers return vectors of length one, so a dot product is a cosine."""
    files: Annotated[tuple[TowerFile, ...], Field(min_length=2)]
    preprocessing: Preprocessing
    text: TextSpec
    golden_sha256: str | None = None
    """Of ``golden.json``; None in bundles that were written before it was recorded."""
    fingerprint: str
    """Names the embedding space: hash of weights and preprocessing, shared by all formats
    of one model. Vectors with different fingerprints are never compared."""
    licence: str
    training_data: tuple[str, ...] = ()
    recipe_sha256: str | None = None
    provenance: dict[str, Any] = {}

    def file(self, tower: Tower, format: Format, precision: Precision | None = None) -> TowerFile:
        """One tower's file in one format: of a precision, or the recommended, or the smallest.

        Raises:
            BundleError: The bundle has no such file.
        """
        found = [
            file
            for file in self.files
            if (file.tower, file.format) == (tower, format) and precision in (None, file.precision)
        ]
        if not found:
            kind = f"{precision} {format}" if precision else format
            raise BundleError(f"bundle {self.name} has no {kind} file of its {tower} tower")
        return min(found, key=lambda file: (not file.recommended, file.bytes))


def read_bundle(folder: Path) -> Bundle:
    """Read and validate ``bundle.json`` without touching the (large) files it names.

    Raises:
        BundleError: No bundle there, a newer format, or a malformed manifest.
    """
    manifest = folder / MANIFEST
    try:
        text = manifest.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{folder} is not a bundle: cannot read {MANIFEST} ({error})") from error
    refuse_newer(manifest, text, BUNDLE_FORMAT, BundleError)
    try:
        return Bundle.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BundleError(f"{manifest}: {place}: {first['msg']}; export it again") from error


def check_file(folder: Path, entry: TowerFile) -> Path:
    """Path of one tower file after its bytes and hash were found right.

    Raises:
        BundleError: The file is missing, or differs from what the manifest promises.
    """
    return _checked(folder, entry.file, entry.sha256)


def check_vocabulary(folder: Path, text: TextSpec) -> Path:
    """Path of the vocabulary after its hash was found right; raises like `check_file`."""
    return _checked(folder, text.vocabulary_file, text.vocabulary_sha256)


def check_golden_file(folder: Path, bundle: Bundle) -> Path:
    """Path of the golden file after its hash, if it is known, was found right.

    Raises like `check_file`.
    """
    return _checked(folder, GOLDEN, bundle.golden_sha256)


def _checked(folder: Path, name: str, sha256: str | None) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BundleError(f"{folder / MANIFEST} names {name}, which lies outside the bundle")
    if not path.exists():
        raise BundleError(f"{path} is missing; export or download the bundle again")
    if sha256 is not None and sha256_path(path) != sha256:
        raise BundleError(
            f"{path} is damaged: its SHA-256 is not the one in {MANIFEST}; "
            "export or download the bundle again"
        )
    return path
