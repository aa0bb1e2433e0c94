"""Milliseconds of a tower in ONNX Runtime, for budgets and searches."""

import time
from statistics import median

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from export.quantize.onnx import quantise
from export.targets.graphs import Graph, image_graph, text_graph
from export.targets.onnx import serialise, trace
from export.verify.golden_inputs import pattern
from retrieval.encode.sessions import open_session
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.files import sha256_json
from retrieval.spec.tower import Tower

_SENTENCE = "two brown dogs are running through the snow"
_WARM_UP = 5
_SERIES = 5
_LEAST_RUNS = 10
_LEAST_SECONDS = 0.05


class OnnxMeter:
    """ONNX Runtime on one thread, batch 1: what ships, but for weights in float32.

    A tower is exported once and then timed as often as it is asked for; the latest one is
    remembered by its configuration, since the time of a dense model depends on its shape
    alone.
    """

    def __init__(self) -> None:
        self._known = ""
        self._session: ort.InferenceSession | None = None

    def milliseconds(self, model: DualEncoder, tokenizer: Tokenizer, tower: Tower) -> float:
        """The least of several medians over calls for one photo or one sentence.

        Whatever else runs on the machine only ever adds time, often for a second or more, so
        the quickest series is the nearest to the tower's own time.

        Args:
            model: Stays as it is, but for its device and mode.
            tokenizer: Makes the sentence.
            tower: What is timed.

        Raises:
            ExportError: The tower cannot become ONNX.
        """
        inputs = _inputs(model, tokenizer, tower)
        key = sha256_json([tower, model.config.model_dump(mode="json")])
        if self._session is None or self._known != key:
            self._session, self._known = _opened(model.cpu().eval(), tower, inputs), key
        session = self._session
        given = {session.get_inputs()[0].name: inputs[:1]}
        for _ in range(_WARM_UP):
            session.run(None, given)
        return round(min(_median(session, given) for _ in range(_SERIES)), 4)


def _median(session: ort.InferenceSession, given: dict[str, NDArray[np.generic]]) -> float:
    seconds: list[float] = []
    # Small towers take so little that a few calls are all noise.
    while len(seconds) < _LEAST_RUNS or sum(seconds) < _LEAST_SECONDS:
        started = time.perf_counter()
        session.run(None, given)
        seconds.append(time.perf_counter() - started)
    return 1000 * median(seconds)


def _opened(model: DualEncoder, tower: Tower, inputs: NDArray[np.generic]) -> ort.InferenceSession:
    graph: Graph = image_graph(model) if tower == "image" else text_graph(model)
    return open_session(serialise(quantise(trace(graph, inputs), "fp32")), threads=1)


def _inputs(model: DualEncoder, tokenizer: Tokenizer, tower: Tower) -> NDArray[np.generic]:
    """Two rows: of one the tracer would take the batch for a constant."""
    if tower == "text":
        return tokenizer.batch([_SENTENCE, _SENTENCE])
    spec = model.config.preprocessing
    pixels = pattern(spec.size)
    if spec.layout == "NHWC":
        pixels = pixels.transpose(1, 2, 0)
    return np.stack([pixels, pixels])
