"""The precisions of a LiteRT tower, as recipes of ai-edge-quantizer.

``fp32``
    As traced.
``fp16``
    Weights stored as float16; XNNPACK widens them when it loads the file.
``int8``
    Dynamic range: weights in int8 with a scale for each output channel, token embeddings with
    one for each row, both the trained one where weights were trained on an int8 grid;
    activations rounded on the fly. Depthwise convolutions, which hold few
    weights, are stored as float16: XNNPACK has none in this form, so they would be many times
    slower, and they lose most by rounding.
``int8-static``
    Convolutional towers: weights and activations in int8, whose scales come from calibration,
    and biases that take back what rounding shifts. Towers with attention: only convolutions
    and matrix products with weights, since layer norms and the residual stream in int8 lose
    the embedding. What a tower itself computes of its backbones' features stays in float, and
    so does what is around it: pixels go in and unit vectors come out as in every other
    precision.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from export.quantize.litert_biases import correct_biases
from export.targets.litert.flatbuffer import (
    DEPTHWISE,
    PRODUCTS,
    TOWER,
    operations,
    signature_of,
)
from export.targets.litert.packages import calibrator, quantizer
from export.targets.quiet import silenced
from retrieval.spec.errors import ExportError
from retrieval.spec.reasons import first_line

LiteRTPrecision = Literal["fp32", "fp16", "int8", "int8-static"]

ATTENTION = "SOFTMAX"
"""The operation that tells towers with attention."""

NOT_IN_INT8 = ("DIV",)
"""Operations whose int8 form LiteRT refuses: it wants a zero point of zero."""

FEATURES = rf"{TOWER}#\d+;$"
"""Names of what an image tower itself computes of its backbones' features. Their root is
steepest at nought, where the steps of int8 are too wide."""


def quantise(
    model: bytes, precision: LiteRTPrecision, *, calibration: NDArray[np.generic] | None = None
) -> bytes:
    """A copy of an fp32 model in another precision.

    Args:
        model: From `export.targets.litert.converter.convert`.
        precision: What the module's description says of each.
        calibration: Inputs as the file takes them, for ``int8-static``.

    Raises:
        ExportError: Calibration inputs are missing, or the quantiser fails.
        MissingExtraError: The quantiser is not installed.
    """
    package = quantizer()
    inputs = _calibration(calibration) if precision == "int8-static" else None
    try:
        with silenced():
            working = package.Quantizer(bytearray(model))
            _RECIPES[precision](working, model)
            ranges = None if inputs is None else _ranges(working, model, inputs)
            made = working.quantize(ranges, enable_progress_report=False, enable_progress_bar=False)
            quantised = bytes(made.quantized_model)
            if inputs is not None and not _attends(model):
                quantised = correct_biases(model, quantised, inputs)
    except OSError:
        raise
    except Exception as error:  # The quantiser raises ValueError, RuntimeError and others.
        reason = first_line(error)
        raise ExportError(f"LiteRT's quantiser failed at {precision}: {reason}") from error
    return quantised


def _calibration(calibration: NDArray[np.generic] | None) -> NDArray[np.generic]:
    if calibration is None or not len(calibration):
        raise ExportError(
            "int8-static LiteRT files need calibration inputs to choose the scales of their "
            "activations; give some, or choose int8"
        )
    return calibration


def _ranges(working: Any, model: bytes, inputs: NDArray[np.generic]) -> Any:
    """Least and greatest value of every activation over all inputs.

    Not the quantiser's running mean: photos that reach further would be cut off, and once
    biases are corrected that harms an embedding more than wider steps do.
    """
    tools = calibrator()
    recipe = tools.recipe_manager.RecipeManager()
    recipe.load_quantization_recipe(working.get_quantization_recipe())
    running = tools.Calibrator(model, num_threads=1, qsv_update_func=tools.qsv_utils.min_max_update)
    signature = signature_of(model)
    rows = [{signature.input: row[None]} for row in inputs]
    running.calibrate({signature.name: rows}, recipe)
    return running.get_model_qsvs()


def _full(working: Any, model: bytes) -> None:
    # Nothing is quantised, but the quantiser aligns weights in the file as all runtimes want.
    working.update_quantization_recipe(".*", "*", algorithm_key="no_quantize")


def _half(working: Any, model: bytes) -> None:
    working.add_weight_only_config(".*", "*", 16, algorithm_key="float_casting")


def _dynamic(working: Any, model: bytes) -> None:
    working.add_dynamic_config(".*", "*", 8)
    working.add_weight_only_config(".*", DEPTHWISE, 16, algorithm_key="float_casting")


def _static(working: Any, model: bytes) -> None:
    if _attends(model):
        for kind in PRODUCTS:
            working.add_static_config(TOWER, kind, 8, 8)
        return
    working.add_static_config(TOWER, "*", 8, 8)
    for kind in NOT_IN_INT8:
        working.update_quantization_recipe(TOWER, kind, algorithm_key="no_quantize")
    working.update_quantization_recipe(FEATURES, "*", algorithm_key="no_quantize")


def _attends(model: bytes) -> bool:
    return any(kind == ATTENTION for kind, _ in operations(model))


_RECIPES: dict[LiteRTPrecision, Callable[[Any, bytes], None]] = {
    "fp32": _full,
    "fp16": _half,
    "int8": _dynamic,
    "int8-static": _static,
}
