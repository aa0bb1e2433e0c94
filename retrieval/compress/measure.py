"""Size and speed of a model in training, for the figures after each stage."""

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch

from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder, parameter_count
from retrieval.spec.tower import Tower

_SENTENCE = "two brown dogs are running through the snow"
_WARM_UP = 5
_RUNS = 25


def measure(model: DualEncoder, tokenizer: Tokenizer) -> dict[str, Any]:
    """Parameters of both towers, float32 bytes, and PyTorch's single-thread milliseconds.

    The exported towers are faster and smaller; these figures show what a stage changed.
    """
    parameters = {"image": parameter_count(model.image), "text": parameter_count(model.text)}
    return {
        "parameters": parameters,
        "bytes_fp32": 4 * sum(parameters.values()),
        "torch_ms_per_photo": tower_milliseconds(model, tokenizer, "image"),
        "torch_ms_per_sentence": tower_milliseconds(model, tokenizer, "text"),
    }


def tower_milliseconds(model: DualEncoder, tokenizer: Tokenizer, tower: Tower) -> float:
    """Milliseconds of PyTorch on one thread for one photo or one sentence."""
    work: Callable[[], object]
    if tower == "image":
        size = model.config.preprocessing.size
        pixels = torch.zeros(1, 3, size, size).contiguous(memory_format=torch.channels_last)
        work = partial(model.encode_image, pixels)
    else:
        work = partial(model.encode_text, torch.from_numpy(tokenizer.batch([_SENTENCE])).long())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            return _milliseconds(work)
    finally:
        torch.set_num_threads(threads)


def _milliseconds(work: Callable[[], object]) -> float:
    """Median over runs after a warm-up."""
    seconds = []
    for run in range(_WARM_UP + _RUNS):
        started = time.perf_counter()
        work()
        if run >= _WARM_UP:
            seconds.append(time.perf_counter() - started)
    return round(1000 * median(seconds), 3)
