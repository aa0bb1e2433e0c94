"""Let timm and open_clip import torchvision where its compiled part cannot load.

The torchvision wheel on the package index is built for CUDA. Beside a CPU build of torch
its library does not load, and ``import torchvision`` then dies on the missing operator
``torchvision::nms``. Nothing here needs its operators (photos are decoded by Pillow), so
declaring their signatures is enough for the import to succeed.

Import this module before timm, open_clip or torchvision.
"""

import importlib.util
import sys
from pathlib import Path

import torch

_OPERATORS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def _compiled_part_loads(package: Path) -> bool:
    libraries = [p for p in package.glob("_C*") if p.suffix in {".so", ".pyd"}]
    for library in libraries:
        try:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
        except OSError:
            return False
    return bool(libraries)


def _declare_operators() -> torch.library.Library | None:
    if "torchvision" in sys.modules:
        return None
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None or _compiled_part_loads(Path(found.origin).parent):
        return None
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name, signature in _OPERATORS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(signature)  # type: ignore[no-untyped-call]
    return library


# The declarations live as long as this object does.
_LIBRARY = _declare_operators()
