"""Intermediate results of LiteRT files, kept by the plain interpreter."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.targets.litert.packages import interpreter
from export.verify.layers import Layer


def litert_layers(exact: Path, path: Path, row: NDArray[np.generic]) -> list[Layer]:
    """What an fp32 file and another make on the way, by the names that both know.

    Args:
        exact: The fp32 file.
        path: Quantised from the same conversion, which gives tensors their names.
        row: One input as both take it.
    """
    one, other = _run(exact, row), _run(path, row)
    expected, found = _floats(one), _floats(other)
    kept: dict[str, tuple[str, tuple[int, ...]]] = {}
    nearest: dict[int, frozenset[int]] = {}
    names = {detail["index"]: detail["name"] for detail in one.get_tensor_details()}
    for operation in one._get_ops_details():  # the only way to ask what feeds what
        before = frozenset[int]().union(
            *(nearest.get(tensor, frozenset()) for tensor in operation["inputs"])
        )
        for tensor in operation["outputs"]:
            name = names[tensor]
            if name in kept or not _fits(expected.get(name), found.get(name)):
                nearest[tensor] = before
                continue
            nearest[tensor] = frozenset({len(kept)})
            kept[name] = (f"{operation['op_name']} {name}", tuple(sorted(before)))
    return [
        Layer(title, before, expected[name], found[name]) for name, (title, before) in kept.items()
    ]


def _run(path: Path, row: NDArray[np.generic]) -> Any:
    from ai_edge_litert.interpreter import OpResolverType  # type: ignore[import-untyped]

    running = interpreter()(
        model_path=str(path),
        num_threads=1,
        experimental_preserve_all_tensors=True,
        # Delegates compute several operations at once and show none of them.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    running.allocate_tensors()
    running.set_tensor(running.get_input_details()[0]["index"], row)
    running.invoke()
    return running


def _floats(running: Any) -> dict[str, NDArray[Any]]:
    """Results by name, as real numbers; those whose name is not unique are left out."""
    details = running.get_tensor_details()
    count = Counter(detail["name"] for detail in details)
    found = {}
    for detail in details:
        if count[detail["name"]] > 1 or not detail["name"]:
            continue
        try:
            value = running.get_tensor(detail["index"])
        except ValueError:  # a tensor that was never needed holds nothing
            continue
        scales = detail["quantization_parameters"]["scales"]
        zeros = detail["quantization_parameters"]["zero_points"]
        if value.dtype.kind == "i" and len(scales) == 1:
            value = (value.astype(np.float32) - zeros[0]) * scales[0]
        if value.dtype.kind == "f":
            found[detail["name"]] = value
    return found


def _fits(expected: NDArray[Any] | None, found: NDArray[Any] | None) -> bool:
    return expected is not None and found is not None and expected.shape == found.shape
