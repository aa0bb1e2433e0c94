"""A dual encoder of ours with random weights, small enough to export in a test."""

import gzip
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from retrieval.language.tokenizer import Tokenizer
from retrieval.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.bundle import Bundle
from retrieval.spec.model import ModelConfig

MERGES = 300
CONTEXT = 16
SIZE = 32
DIM = 24

VIT = {
    "kind": "vit",
    "patch": 16,
    "blocks": {"width": 32, "head_dim": 16, "layers": 2, "heads": 2, "neurons": 64},
}
TEXT = {"blocks": {"width": 32, "head_dim": 16, "layers": 2, "heads": 2, "neurons": 64}}


def tiny_tokenizer() -> Tokenizer:
    """CLIP's first merges: every sentence has ids, most words are several."""
    packed = files("retrieval.language").joinpath("clip_merges.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()[:MERGES]
    return Tokenizer.from_merges("".join(f"{line}\n" for line in lines), context_length=CONTEXT)


def tiny_model(
    *,
    seed: int = 0,
    image: dict[str, Any] | None = None,
    text: dict[str, Any] | None = None,
    **preprocessing: Any,
) -> DualEncoder:
    """Random weights, the same for the same seed."""
    torch.manual_seed(seed)
    config = ModelConfig.model_validate(
        {
            "name": "tiny",
            "embedding_dim": DIM,
            "image": image or VIT,
            "text": text or TEXT,
            "preprocessing": {"size": SIZE, **preprocessing},
            "tokens": tiny_tokenizer().spec,
        }
    )
    return DualEncoder(config).eval()


def tiny_checkpoint(folder: Path, **options: Any) -> Checkpoint:
    """Save `tiny_model` and load it again."""
    save_checkpoint(folder, tiny_model(**options), tiny_tokenizer(), metrics={"recall@1": 0.5})
    return load_checkpoint(folder)


def tiny_bundle(folder: Path, *, seed: int = 0, **options: Any) -> Bundle:
    """Export a bundle of `tiny_model` by the real exporter; well under a megabyte.

    Args:
        folder: The bundle; its checkpoint is put beside it, with the suffix ``.checkpoint``.
        seed: Another seed is another embedding space.
        options: For `pack_bundle`.
    """
    from export.bundle import pack_bundle

    checkpoint = tiny_checkpoint(folder.with_name(f"{folder.name}.checkpoint"), seed=seed)
    return pack_bundle(checkpoint, folder, **options)
