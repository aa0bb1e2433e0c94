"""How ONNX Runtime runs the towers, wherever leanclip runs them."""

import platform
from functools import cache
from pathlib import Path

import onnxruntime as ort

_CPU_INFO = Path("/proc/cpuinfo")
_EXACT = {"avx512_vnni", "avx_vnni"}


def open_session(
    model: Path | bytes, *, threads: int | None = None, fused: bool = True
) -> ort.InferenceSession:
    """Open a tower on the processor.

    Args:
        model: A file, or its content.
        threads: At most so many; None for as many as there are processors.
        fused: Whether operations may be merged; the tensors between them cannot be asked for
            then.

    Raises:
        Exception: ONNX Runtime cannot load it; it raises plain subclasses.
    """
    options = _options(threads)
    if not fused:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = model if isinstance(model, bytes) else str(model)
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _options(threads: int | None) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Photos are decoded beside the encoder: waiting threads must not burn its processor.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if _products_may_saturate(platform.machine(), _CPU_INFO):
        # Truth before speed: convolutions in int8 take more than twice as long.
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


@cache
def _products_may_saturate(machine: str, cpu_info: Path) -> bool:
    """Whether int8 products are summed in 16 bits, as AVX2 does where there is no VNNI.

    Systems that do not tell what the processor can do are taken to do so.
    """
    if machine.lower() not in ("x86_64", "amd64"):
        return False
    try:
        lines = cpu_info.read_text("ascii", "replace").splitlines()
    except OSError:
        return True
    flags = (line.partition(":")[2].split() for line in lines if line.startswith("flags"))
    return _EXACT.isdisjoint(next(flags, []))
