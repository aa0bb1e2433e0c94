"""What a Core ML file says of itself in Xcode and to code that meets it alone."""

import importlib.metadata
from typing import Any

from export.targets.coreml.graph import EMBEDDING, IMAGE, TOKENS
from export.targets.target import Conversion

PREFIX = "com.leanclip."
AUTHOR = "leanclip"

_CONVERSION_DATE = "com.github.apple.coremltools.conversion_date"


def describe(model: Any, conversion: Conversion, *, precision: str, requires: str) -> None:
    """Fill in a model's metadata.

    Args:
        model: A ``coremltools.models.MLModel``; changed.
        conversion: The tower that it was made of.
        precision: Of its weights.
        requires: The least system that runs it.
    """
    name = conversion.metadata.get("name", conversion.model.config.name)
    model.author = AUTHOR
    model.license = conversion.metadata.get("licence", "unknown")
    model.version = importlib.metadata.version("leanclip")
    model.short_description = (
        f"The {conversion.tower} tower of {name}, {precision}. The dot product of a photo's and "
        "a sentence's embedding says how well they fit. Batch of one."
    )
    taken = IMAGE if conversion.tower == "image" else TOKENS
    model.input_description[taken] = _input(conversion)
    model.output_description[EMBEDDING] = (
        f"Embedding of {conversion.model.config.embedding_dim} numbers, of length one."
    )
    stored = model.user_defined_metadata
    # The same checkpoint shall give the same file on another day.
    if _CONVERSION_DATE in stored:
        del stored[_CONVERSION_DATE]
    stored.update(_details(conversion) | {f"{PREFIX}requires": requires})


def _input(conversion: Conversion) -> str:
    if conversion.tower == "image":
        size = conversion.preprocessing.size
        return (
            f"Photo in RGB, upright, resized and cropped to {size} x {size} as "
            f"{PREFIX}preprocessing says. Scaling and normalising are inside."
        )
    spec = conversion.model.config.tokens
    return (
        f"{spec.context_length} token ids: start {spec.start_id}, the sentence, end "
        f"{spec.end_id}, then padding {spec.pad_id}; see {PREFIX}text."
    )


def _details(conversion: Conversion) -> dict[str, str]:
    details = {f"{PREFIX}{key}": value for key, value in conversion.metadata.items()}
    if conversion.tower == "image":
        details[f"{PREFIX}preprocessing"] = conversion.preprocessing.model_dump_json()
    else:
        details[f"{PREFIX}text"] = conversion.model.config.tokens.model_dump_json()
    return details
