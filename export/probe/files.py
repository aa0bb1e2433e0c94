"""Probes on disk."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from export.probe.result import SCHEMA_VERSION, ProbeResult
from retrieval.spec.errors import ProbeError
from retrieval.spec.files import write_text

_VERSION = "schema_version"


def probe_schema() -> str:
    """The JSON Schema of a probe, as shell apps in other languages read it."""
    schema = ProbeResult.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_probe(path: Path, probe: ProbeResult) -> None:
    """Write a probe as JSON, whole or not at all."""
    write_text(path, probe.model_dump_json(indent=2) + "\n")


def read_probe(path: Path) -> ProbeResult:
    """Read a probe.

    Raises:
        ProbeError: The file is missing, no probe, or of another version of the schema.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ProbeError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProbeError(f"{path} is no probe: it is not text") from error
    return parse_probe(text, origin=str(path))


def parse_probe(text: str, *, origin: str) -> ProbeResult:
    """Validate a probe that some device wrote.

    Args:
        text: JSON.
        origin: What errors call it: a file, or a device.

    Raises:
        ProbeError: It is no probe, or of another version of the schema.
    """
    try:
        value: Any = json.loads(text)
    except ValueError as error:
        raise ProbeError(f"{origin} is no probe: it is not JSON ({error})") from error
    if not isinstance(value, dict) or _VERSION not in value:
        raise ProbeError(f"{origin} is no probe: it has no {_VERSION}")
    if value[_VERSION] != SCHEMA_VERSION:
        raise ProbeError(
            f"{origin} has version {value[_VERSION]} of the probe's schema, this leanclip reads "
            f"{SCHEMA_VERSION}: probe again with the same version of leanclip and of the app"
        )
    try:
        return ProbeResult.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the probe"
        message = first["msg"].removeprefix("Value error, ")
        raise ProbeError(f"{origin}: {place}: {message}") from error
