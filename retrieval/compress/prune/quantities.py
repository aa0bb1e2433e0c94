"""Numbers as people write them: 5M, 1.5 k, 10 MB."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_COUNT = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}
_BYTES = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9,
    "kib": 2**10, "mib": 2**20, "gib": 2**30,
}  # fmt: skip
_QUANTITY = re.compile(r"\s*([0-9][0-9_,]*(?:\.[0-9]+)?|\.[0-9]+)\s*([A-Za-z]*)\s*")


def parse_count(value: Any) -> Any:
    """``5M``, ``5_000_000`` or a number as a whole number.

    Raises:
        ValueError: Text that is no such quantity. What is not text is passed on.
    """
    return _parse(value, _COUNT, "5M or 5_000_000")


def parse_bytes(value: Any) -> Any:
    """``10MB`` (10,000,000), ``10MiB`` (10,485,760) or a number as a whole number of bytes.

    Raises:
        ValueError: Text that is no such quantity. What is not text is passed on.
    """
    return _parse(value, _BYTES, "10MB or 10_000_000")


Count = Annotated[int, BeforeValidator(parse_count), Field(ge=1)]
Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(ge=1)]


def _parse(value: Any, units: dict[str, int], example: str) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, str):
        return value
    match = _QUANTITY.fullmatch(value)
    unit = units.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise ValueError(f"should be a quantity such as {example}, not {value!r}")
    return round(float(match[1].replace("_", "").replace(",", "")) * unit)
