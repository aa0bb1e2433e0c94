"""Matrix products in int8, with activations rounded on the fly."""

from onnx import GraphProto, NodeProto, helper

from export.quantize.storage import substitute, widen


def multiply_integers(graph: GraphProto, node: NodeProto, weight: str) -> None:
    """Put integers in the place of a ``MatMul`` of an activation and a weight.

    The nodes are the pattern that ONNX Runtime fuses into one kernel.

    Args:
        graph: Changed.
        node: The product.
        weight: Prefix of the weight's codes (``.int8``, columns are outputs), zero points
            (``.zero``) and scales (``.scale``), both ``(outputs,)``.
    """
    x, out = node.input[0], node.output[0]
    inputs = [f"{x}.rounded", f"{weight}.int8", f"{x}.offset", f"{weight}.zero"]
    nodes = [
        helper.make_node("MatMulInteger", inputs, [f"{out}.int32"]),
        widen(f"{out}.int32", f"{out}.wide"),
        helper.make_node("Mul", [f"{x}.step", f"{weight}.scale"], [f"{out}.scales"]),
        helper.make_node("Mul", [f"{out}.wide", f"{out}.scales"], [out]),
    ]
    substitute(graph, node, nodes)
    _round(graph, x)


def _round(graph: GraphProto, x: str) -> None:
    """Round an activation where it is made, once for queries, keys and values."""
    names = [f"{x}.rounded", f"{x}.step", f"{x}.offset"]
    made = {name: place for place, node in enumerate(graph.node) for name in node.output}
    if names[0] not in made:
        node = helper.make_node("DynamicQuantizeLinear", [x], names)
        graph.node.insert(made.get(x, -1) + 1, node)
