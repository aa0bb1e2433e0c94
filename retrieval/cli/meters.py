"""What can measure milliseconds for budgets and searches."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING

from retrieval.spec.defaults import HOST
from retrieval.spec.errors import RecipeError

if TYPE_CHECKING:
    from retrieval.compress.prune.meter import Meter
    from retrieval.language.tokenizer import Tokenizer
    from retrieval.models.dual_encoder import DualEncoder
    from retrieval.spec.tower import Tower

TORCH = "torch"


class _OnnxMeter:
    """ONNX Runtime, whose exporter is imported when something is to be measured."""

    @cached_property
    def _meter(self) -> Meter:
        from export.meter import OnnxMeter

        return OnnxMeter()

    def milliseconds(self, model: DualEncoder, tokenizer: Tokenizer, tower: Tower) -> float:
        return self._meter.milliseconds(model, tokenizer, tower)


def meters() -> dict[str, Meter]:
    """Meters by target.

    ``host`` is ONNX Runtime on this machine where the extra export is installed, and
    PyTorch's time elsewhere; ``torch`` is always PyTorch's.
    """
    from retrieval.compress.prune.meter import TorchMeter

    can_export = all(find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))
    return {HOST: _OnnxMeter() if can_export else TorchMeter(), TORCH: TorchMeter()}


def meter_for(target: str, known: Mapping[str, Meter]) -> Meter:
    """The meter of a target.

    Raises:
        RecipeError: Nothing measures there.
    """
    if target not in known:
        names = ", ".join(sorted(known))
        raise RecipeError(f"--target: nothing measures on {target!r}; choose {names}")
    return known[target]
