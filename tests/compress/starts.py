"""A source with nothing at zero or one, and students that inherit from it."""

from pathlib import Path
from typing import Any

import torch

from retrieval.compress.recipe import Data
from retrieval.compress.start.scores import Samples
from retrieval.compress.start.settings import Inherited
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.checkpoint import Checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.model import ModelConfig
from tests.tiny import tiny_checkpoint, tiny_model, tiny_tokenizer

WHOLE = {"width": 32, "head_dim": 8, "heads": [4, 3, 4], "neurons": [64, 48, 64]}
SMALL = {"width": 16, "head_dim": 8, "heads": [2, 1], "neurons": [24, 40]}
SENTENCES = [f"{a} {b} on the {c}" for a in ("two", "red") for b in ("dogs", "a cat", "")
             for c in ("snow", "grass", "pavement")]  # fmt: skip
Blocks = dict[str, Any]


def make_source(folder: Path) -> Checkpoint:
    """Three layers; norms and biases are random too, so that they show where they come from."""
    image = {"kind": "vit", "patch": 16, "blocks": WHOLE}
    text = {"blocks": WHOLE, "bag_of_tokens": True}
    found = tiny_checkpoint(folder, seed=5, image=image, text=text)
    torch.manual_seed(6)
    with torch.no_grad():
        for parameter in found.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return found


def make_samples(folder: Path) -> Samples:
    """The sentences alone."""
    (folder / "sentences.txt").write_text("\n".join(SENTENCES), "utf-8")
    return Samples(Data(sentences=(folder / "sentences.txt",)), seed=3)


def student(
    blocks: Blocks, *, dim: int = 24, tokenizer: Tokenizer | None = None, **text: Any
) -> DualEncoder:
    torch.manual_seed(9)
    config = tiny_model().config.model_dump() | {
        "embedding_dim": dim,
        "image": {"kind": "vit", "patch": 16, "blocks": blocks},
        "text": {"blocks": blocks, "bag_of_tokens": True, **text},
        "tokens": (tokenizer or tiny_tokenizer()).spec,
    }
    return DualEncoder(ModelConfig.model_validate(config)).eval()


def inherited(**values: Any) -> Inherited:
    return Inherited.model_validate(values)


def ids() -> torch.Tensor:
    return torch.from_numpy(tiny_tokenizer().batch(SENTENCES)).long()
