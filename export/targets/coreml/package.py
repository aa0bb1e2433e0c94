"""Writing an ML program as a package whose bytes depend on nothing but the model."""

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

from retrieval.spec.files import replacing_folder

_CONVERTERS_NOTES = "executorch_debug_handle_mapping.json"
_MANIFEST = "Manifest.json"
_ITEMS = "itemInfoEntries"
_ROOT = "rootModelIdentifier"


def save_package(model: Any, path: Path) -> None:
    """Write a coremltools model to a ``.mlpackage`` folder, whole or not at all.

    The same model gives the same bytes: random identifiers are replaced by names made of
    what they stand for, and the specification is serialised in a fixed order.

    Args:
        model: A ``coremltools.models.MLModel`` of an ML program.
        path: Ends in ``.mlpackage``; an earlier package there is replaced.
    """
    with replacing_folder(path) as temporary:
        saved = temporary / path.name
        model.save(str(saved))
        (saved / _CONVERTERS_NOTES).unlink(missing_ok=True)
        specification = saved / "Data" / _fix_identifiers(saved / _MANIFEST)
        specification.write_bytes(model.get_spec().SerializeToString(deterministic=True))
        for part in list(saved.iterdir()):
            part.replace(temporary / part.name)
        saved.rmdir()


def discard(model: Any) -> None:
    """Remove the copy of a model that coremltools keeps in the temporary folder until exit."""
    shutil.rmtree(model.package_path, ignore_errors=True)


def _fix_identifiers(manifest: Path) -> str:
    """Replace random identifiers by fixed ones; where the model's specification lies."""
    content = json.loads(manifest.read_text("utf-8"))
    fixed = {
        old: str(uuid.uuid5(uuid.NAMESPACE_URL, item["path"]))
        for old, item in content[_ITEMS].items()
    }
    root = content[_ROOT]
    specification: str = content[_ITEMS][root]["path"]
    items = sorted(content[_ITEMS].items(), key=lambda entry: fixed[entry[0]])
    content[_ITEMS] = {fixed[old]: item for old, item in items}
    content[_ROOT] = fixed[root]
    manifest.write_text(json.dumps(content, indent=4) + "\n", "utf-8")
    return specification
