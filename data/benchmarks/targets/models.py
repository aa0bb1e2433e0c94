"""The models of the table: the default one, a stand-in of every registry tower, and CLIP."""

from functools import partial
from pathlib import Path
from typing import Any

from targets.row import Model

from export.targets.support import ATTENTION_POOLED, SUPPORT, TEXT, VIT
from retrieval.corpora.pairs import read_pairs
from retrieval.models.checkpoint import Checkpoint
from retrieval.spec.files import sha256_file, sha256_json, sha256_path

BASELINE = "CLIP ViT-B/32"
DEFAULT = "default"
SIZE = 224

_CLIP = "ViT-B-32/random"
_DIM = 256
_VIT_SHAPE: dict[str, Any] = {
    "patch": 16,
    "blocks": {"width": 192, "head_dim": 64, "layers": 12, "neurons": 768},
}
"""That of ViT-Ti/16."""
_TEXT_SHAPE = {"blocks": {"width": 256, "head_dim": 64, "layers": 4, "neurons": 1024}}
_COMPANIONS: dict[str, Any] = {
    "image": {
        "kind": "vit",
        "patch": 32,
        "blocks": {"width": 64, "head_dim": 32, "layers": 1, "neurons": 64},
    },
    "text": {"blocks": {"width": 32, "head_dim": 32, "layers": 1, "neurons": 32}},
}
"""The other tower, which a model needs and nobody measures."""


def baseline() -> Model:
    """OpenAI's ViT-B/32 by shape, with random weights: bytes and time do not depend on them."""
    identity = sha256_json([_CLIP, "seed 0"])
    return Model(BASELINE, ("image", "text"), _load_clip, identity, files=(("onnx", "fp32"),))


def default_model(checkpoint: Path, data: Path, calibration: Path) -> Model:
    """The model of a checkpoint folder.

    Raises:
        CheckpointError: There is none, or it is damaged.
        CorpusError: There are no such captioned photos.
    """
    from retrieval.models.checkpoint import load_checkpoint, read_config

    config = read_config(checkpoint)
    return Model(
        name=DEFAULT,
        towers=("image", "text"),
        load=partial(load_checkpoint, checkpoint),
        identity=sha256_json([sha256_path(checkpoint), _named(data), _named(calibration)]),
        retrieves=True,
        quantised=config.quantisation is not None,
        photos=len(read_pairs(data)),
    )


def registry_towers(calibration: Path, size: int = SIZE) -> list[Model]:
    """One model for each tower that leanclip vouches for, with random weights."""
    models = []
    for name in SUPPORT:
        shape = shape_of(name, size)
        models.append(
            Model(
                name=name,
                towers=("text",) if name == TEXT else ("image",),
                load=partial(_load_random, name, shape),
                identity=sha256_json([shape, "seed 0", _named(calibration)]),
            )
        )
    return models


def shape_of(name: str, size: int = SIZE) -> dict[str, Any]:
    """Configuration of a registry tower's stand-in, but for its tokens."""
    shape: dict[str, Any] = {
        "name": name,
        "embedding_dim": _DIM,
        **_COMPANIONS,
        "preprocessing": {"size": size},
    }
    if name == TEXT:
        return shape | {"text": _TEXT_SHAPE}
    if name == VIT:
        return shape | {"image": {"kind": VIT, **_VIT_SHAPE}}
    if name == ATTENTION_POOLED:
        width = _VIT_SHAPE["blocks"]["width"]
        pool = {"pool_heads": 3, "pool_neurons": 4 * width}
        image = {"kind": ATTENTION_POOLED, **_VIT_SHAPE, **pool}
        return shape | {"embedding_dim": width, "image": image}
    return shape | {"image": {"kind": "timm", "backbones": [{"name": name}]}}


def _load_random(name: str, shape: dict[str, Any]) -> Checkpoint:
    import torch

    from retrieval.language.tokenizer import Tokenizer
    from retrieval.models.checkpoint import fingerprint
    from retrieval.models.dual_encoder import DualEncoder
    from retrieval.models.state import state_sha256
    from retrieval.spec.model import ModelConfig

    tokenizer = Tokenizer.clip()
    config = ModelConfig.model_validate(shape | {"tokens": tokenizer.spec})
    torch.manual_seed(0)
    model = DualEncoder(config).eval()
    return Checkpoint(model, tokenizer, fingerprint(config, state_sha256(model)), metrics={})


def _load_clip() -> Checkpoint:
    import torch

    from retrieval.models.open_clip import load_open_clip

    torch.manual_seed(0)
    return load_open_clip(_CLIP, random_weights=True)


def _named(path: Path) -> str:
    """Of a file its content, of a folder its name alone: photos are many."""
    return sha256_file(path) if path.is_file() else str(path.name)
