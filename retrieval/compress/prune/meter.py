"""Milliseconds of a model that might be the result of pruning, measured."""

from statistics import median
from typing import Protocol

from retrieval.compress.measure import tower_milliseconds
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.files import sha256_json
from retrieval.spec.tower import Tower


class Meter(Protocol):
    """Measures on one target, such as this machine's ONNX Runtime or a phone."""

    def milliseconds(self, model: DualEncoder, tokenizer: Tokenizer, tower: Tower) -> float:
        """Time that one photo or one sentence takes, batch 1; the model may be changed."""
        ...


class TorchMeter:
    """PyTorch on one thread of this machine: no exporter needed, slower than what ships."""

    def milliseconds(self, model: DualEncoder, tokenizer: Tokenizer, tower: Tower) -> float:
        return tower_milliseconds(model.cpu().eval(), tokenizer, tower)


class SteadyMeter:
    """Another meter's median of several measurements, each shape measured once.

    The latency of a dense model depends on its shape alone, so the shape is what a
    measurement is remembered by.

    Args:
        meter: Measures.
        repeats: Measurements of which the median is taken.
    """

    def __init__(self, meter: Meter, *, repeats: int = 3) -> None:
        self._meter = meter
        self._repeats = repeats
        self._known: dict[str, float] = {}

    def milliseconds(self, model: DualEncoder, tokenizer: Tokenizer, tower: Tower) -> float:
        key = sha256_json([tower, model.config.model_dump(mode="json")])
        if key not in self._known:
            self._known[key] = median(
                self._meter.milliseconds(model, tokenizer, tower) for _ in range(self._repeats)
            )
        return self._known[key]
