"""Bytes of weights with many zeros: dense, compressed sparse rows and bitmap, by sparsity.

Two towers: the matrices of BERT base's encoder, which is what PINS prunes, and the text tower
of ``data/teacher``, whole, with its matrices pruned and its embeddings, norms and biases not.
Weights and masks are random, each matrix at the same sparsity: bytes depend on how many
weights are zero, not on which. Every file is written by `pack_weights`, read back, compared,
and measured on disk; beside it stands the arithmetic, which knows only the pruned matrices.

For PINS, 8.9 times less storage by CSR is reported. With 32-bit columns and fp32 values a
weight that is kept takes 8 bytes, not 4, so 8.9 needs about 94 % of zeros
(1 - 4 / (8 * 8.9) = 94.4 %); at 80 % CSR gives 2.5. No layout makes a model faster: this is
storage alone.

With eight bits a little more is zero than was pruned, since the smallest weights round to zero.
The arithmetic counts the pruned ones alone, and has no scales.

    python data/benchmarks/sparse_sizes.py
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from figures import HERE, REPOSITORY, stamp, write_figures
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from retrieval.models.checkpoint import read_config
from retrieval.models.sparse.bitmap import bitmap_bytes
from retrieval.models.sparse.csr import csr_bytes
from retrieval.models.sparse.file import pack_weights, read_weights
from retrieval.models.sparse.storage import Storage
from retrieval.models.text import TextTransformer

SPARSITIES = (0.80, 0.90, 0.94, 0.95, 0.97)
LAYOUTS = ("dense", "csr int32", "csr int16", "bitmap")
VALUE_BYTES = {"fp32": 4, "int8": 1}
PINS_RATIO = 8.9

Weights = dict[str, Tensor]


def main(
    layers: Annotated[int, typer.Option(help="Layers of the BERT encoder.")] = 12,
    seed: Annotated[int, typer.Option(help="Of weights and masks.")] = 0,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "sparse_sizes",
) -> None:
    """Write every file, check it, measure it, print the ratios."""
    stamped = stamp(
        threads="any", statistic="bytes of one file", packages=("torch", "numpy", "safetensors")
    )
    torch.manual_seed(seed)
    towers = {"bert-base encoder matrices": bert_encoder(layers), "teacher text": teacher_text()}
    raw = [row for tower, weights in towers.items() for row in rows_of(tower, weights)]
    results = {
        "layers": layers,
        "seed": seed,
        "pins": {
            "reported_ratio": PINS_RATIO,
            "sparsity_it_needs": round(1 - 4 / (8 * PINS_RATIO), 4),
        },
        "parameters": {tower: parameters(weights) for tower, weights in towers.items()},
        "pruned": {tower: parameters(weights, is_pruned) for tower, weights in towers.items()},
    }
    write_figures(out, stamped=stamped, results=results, raw=raw)
    for tower in towers:
        typer.echo(f"\n{tower}\n\n{table([row for row in raw if row['tower'] == tower])}")


def bert_encoder(layers: int, width: int = 768, neurons: int = 3072) -> Weights:
    """Attention and feed-forward matrices of BERT, random."""
    shapes = dict.fromkeys(("query", "key", "value", "output"), (width, width))
    shapes |= {"up": (neurons, width), "down": (width, neurons)}
    return {
        f"{layer}.{name}": torch.randn(shape) * 0.02
        for layer in range(layers)
        for name, shape in shapes.items()
    }


def teacher_text() -> Weights:
    """Text tower of the carried teacher, with its own shapes and random weights."""
    config = read_config(REPOSITORY / "data" / "teacher")
    tower = TextTransformer(config.text, config.tokens, config.embedding_dim)
    return {name: tensor.clone() for name, tensor in tower.state_dict().items()}


def rows_of(tower: str, weights: Weights) -> Iterator[dict[str, Any]]:
    """One raw figure for each sparsity, layout and value type of a tower."""
    dense = 4 * parameters(weights)
    for sparsity in SPARSITIES:
        masked = {
            name: tensor * keep_exactly(tensor, 1 - sparsity) if is_pruned(name) else tensor
            for name, tensor in weights.items()
        }
        for layout in LAYOUTS:
            for values in VALUE_BYTES:
                typer.echo(f"{tower}: {sparsity:.0%}, {layout}, {values}", err=True)
                measured = bytes_on_disk(masked, layout, values)
                yield {
                    "tower": tower,
                    "sparsity": sparsity,
                    "layout": layout,
                    "values": values,
                    "bytes": measured,
                    "ratio": round(dense / measured, 3),
                    "arithmetic_ratio": round(arithmetic_ratio(masked, layout, values), 3),
                }


def parameters(weights: Weights, counts: Callable[[str], bool] = lambda _: True) -> int:
    """How many weights there are in the tensors whose names count."""
    return sum(tensor.numel() for name, tensor in weights.items() if counts(name))


def is_pruned(name: str) -> bool:
    """Whether a tensor is a matrix of a block: embeddings and vectors are left whole."""
    return not any(part in name for part in ("embedding", "norm", "bias", "projection"))


def keep_exactly(tensor: Tensor, density: float) -> Tensor:
    """A random mask with the nearest whole number of ones."""
    kept = torch.zeros(tensor.numel())
    kept[torch.randperm(tensor.numel())[: round(density * tensor.numel())]] = 1
    return kept.reshape(tensor.shape)


def bytes_on_disk(weights: Weights, layout: str, values: str) -> int:
    """Write a file, check that it reads back as it should, and measure it."""
    storage = Storage.model_validate({"values": values, "layout": layout.split()[0]})
    with tempfile.TemporaryDirectory(prefix="leanclip-benchmark-") as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(pack_weights(weights, storage))
        if layout == "csr int32":
            widen_columns(path)
        check(read_weights(path), weights, values)
        return path.stat().st_size


def widen_columns(path: Path) -> None:
    """Rewrite a CSR file with the 32-bit columns that SciPy and PyTorch write."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    stored = load_file(path)
    save_file(
        {n: t.int() if n.endswith(".columns") else t for n, t in stored.items()}, path, metadata
    )


def check(found: Mapping[str, Tensor], weights: Weights, values: str) -> None:
    """Floats must come back exactly, eight bits within half a step."""
    for name, tensor in weights.items():
        step = tensor.abs().max() / 127 if values == "int8" else 0
        if (found[name] - tensor).abs().max() > 0.51 * step:
            typer.echo(f"{name} did not come back", err=True)
            raise typer.Exit(1)


def arithmetic_ratio(weights: Weights, layout: str, values: str) -> float:
    """Dense fp32 bytes over packed bytes of the pruned matrices, by the formula alone."""
    dense = packed = 0
    for name, tensor in weights.items():
        if not is_pruned(name):
            continue
        rows, columns = tensor.shape
        kept, width = int(tensor.count_nonzero()), VALUE_BYTES[values]
        dense += 4 * tensor.numel()
        packed += {
            "dense": tensor.numel() * width,
            "csr int32": csr_bytes(rows, columns, kept, width, column_bytes=4),
            "csr int16": csr_bytes(rows, columns, kept, width, column_bytes=2),
            "bitmap": bitmap_bytes(rows, columns, kept, width),
        }[layout]
    return dense / packed


def table(raw: list[dict[str, Any]]) -> str:
    """Markdown: how many times smaller than dense fp32, measured and, in brackets, by formula."""
    sparsities = sorted({row["sparsity"] for row in raw})
    lines = ["| layout | values | " + " | ".join(f"{one:.0%}" for one in sparsities) + " |"]
    lines.append("| --- | --- |" + " ---: |" * len(sparsities))
    for layout in LAYOUTS:
        for values in VALUE_BYTES:
            cells = [
                f"{row['ratio']:.1f} ({row['arithmetic_ratio']:.1f})"
                for row in raw
                if (row["layout"], row["values"]) == (layout, values)
            ]
            lines.append(f"| {layout} | {values} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
