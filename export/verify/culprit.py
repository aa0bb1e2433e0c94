"""Where the error of a file starts: the first layer that is suddenly far from fp32."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from export.targets.graphs import image_graph, text_graph
from export.targets.registry import find_target
from export.targets.target import Conversion, Inputs
from export.verify.layers import Layer, first_jump
from export.verify.material import Material
from export.verify.run_file import interface_of
from retrieval.models.checkpoint import Checkpoint
from retrieval.spec.bundle import Bundle, TowerFile


def find_error(material: Material, file: TowerFile, row: int, checkpoint: Checkpoint | None) -> str:
    """The layer where the error of a file starts, or a sentence on why that is not known.

    Args:
        material: Its inputs.
        file: One that falls short.
        row: The input on which it is worst.
        checkpoint: Gives an fp32 graph where the bundle has none.
    """
    if file.format not in ("onnx", "litert"):
        return f"not located: {file.format} files do not show their intermediate results"
    if file.precision == "fp32":
        return "not located: there is no better file of this format to compare it with"
    inputs = np.array(material.rows(file.tower)[row : row + 1])
    try:
        with TemporaryDirectory(prefix="leanclip-verify-") as temporary:
            exact = _fp32_file(material, file, checkpoint, Path(temporary))
            if exact is None:
                return f"not located: no fp32 {file.format} file and no checkpoint to compare with"
            layers = _layers(exact, material.folder / file.file, file, inputs, material.bundle)
            return first_jump(layers)
    except Exception as error:  # a graph that cannot be opened up is no reason to stop
        return f"not located: {' '.join(str(error).split())}"


def _layers(
    exact: Path, path: Path, file: TowerFile, inputs: Inputs, bundle: Bundle
) -> list[Layer]:
    interface = interface_of(file, bundle)
    if interface.layout is not None and bundle.preprocessing.channel_order == "BGR":
        inputs = inputs[:, ::-1]
    if interface.layout == "NHWC":
        inputs = inputs.transpose(0, 2, 3, 1)
    row = np.ascontiguousarray(inputs, dtype=interface.type)
    if file.format == "onnx":
        from export.verify.layers_onnx import onnx_layers

        return onnx_layers(exact, path, row)
    from export.verify.layers_litert import litert_layers

    return litert_layers(exact, path, row)


def _fp32_file(
    material: Material, file: TowerFile, checkpoint: Checkpoint | None, folder: Path
) -> Path | None:
    """The bundle's fp32 file of the same tower and format, or a new one."""
    for other in material.bundle.files:
        if (other.tower, other.format, other.precision) == (file.tower, file.format, "fp32"):
            return material.folder / other.file
    if checkpoint is None:
        return None
    model = checkpoint.model.cpu().eval()
    target = find_target(file.format)
    path = folder / f"fp32{target.suffix}"
    conversion = Conversion(
        model=model,
        tower=file.tower,
        graph=image_graph(model) if file.tower == "image" else text_graph(model),
        examples=np.array(material.rows(file.tower)[: material.skipped[file.tower]]),
    )
    target.trace(conversion).write(path, "fp32")
    return path
