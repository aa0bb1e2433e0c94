"""Tiny CLIP and SigLIP folders with random weights, as transformers itself saves them."""

import io
import json
from pathlib import Path
from typing import Any

import sentencepiece
import torch

from retrieval.language.bytepair import BYTE_SYMBOLS
from tests.tiny import tiny_tokenizer

CONTEXT = 16
SIZE = 32
SIDE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
VISION = {**SIDE, "image_size": SIZE, "patch_size": 16}
LINES = [
    "two dogs run over the pavement and through deep snow",
    "a red bicycle leaning on a wall beside a café",
    "children with a sledge, a market stall with apples and pears",
    "it is a quarter to ten on the beach",
]


def reference() -> Any:
    """transformers, which takes seconds to import."""
    import retrieval.models.torchvision_guard  # noqa: F401  (before transformers)

    # isort: split
    import transformers

    return transformers


def clip_folder(folder: Path) -> Any:
    """A folder as `transformers.CLIPModel` saves it; the model itself."""
    transformers = reference()
    folder.mkdir()
    tokenizer = tiny_tokenizer()
    pieces = [*BYTE_SYMBOLS, *(merge.replace(" ", "") for merge in tokenizer.merges)]
    marks = ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: id for id, piece in enumerate([*pieces, *marks])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    lines = ["#version: 0.2", *tokenizer.merges]
    (folder / "merges.txt").write_text("".join(f"{line}\n" for line in lines))
    text = {
        **SIDE,
        "vocab_size": len(vocabulary),
        "max_position_embeddings": CONTEXT,
        "bos_token_id": len(pieces),
        "eos_token_id": len(pieces) + 1,
    }
    config = transformers.CLIPConfig(
        text_config=text, vision_config={**VISION, "num_hidden_layers": 3}, projection_dim=24
    )
    sizes = {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}}
    transformers.CLIPImageProcessor(**sizes).save_pretrained(folder)
    return saved(transformers.CLIPModel(config), folder)


def siglip_folder(folder: Path, *, kind: str = "unigram") -> Any:
    """A folder as `transformers.SiglipModel` saves it; the model itself.

    Args:
        folder: To make.
        kind: ``unigram`` with SigLIP's tokenizer, or ``bpe`` with SigLIP 2's.
    """
    transformers = reference()
    folder.mkdir()
    model = sentencepiece_model(kind)
    if kind == "unigram":
        (folder / "spiece.model").write_bytes(model)
        tokenizer = transformers.SiglipTokenizer(str(folder / "spiece.model"))
    else:
        tokenizer = gemma_tokenizer(model)
    tokenizer.save_pretrained(folder)
    config = transformers.SiglipConfig(
        text_config={**SIDE, "vocab_size": 400, "max_position_embeddings": CONTEXT},
        vision_config=VISION,
    )
    transformers.SiglipImageProcessor(
        size={"height": SIZE, "width": SIZE}, resample=2
    ).save_pretrained(folder)
    return saved(transformers.SiglipModel(config), folder)


def saved(model: Any, folder: Path) -> Any:
    """Save a model with weights large enough that every part of it counts."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.eval().save_pretrained(folder)
    return model


def sentencepiece_model(kind: str) -> bytes:
    """A SentencePiece model that learned a few lines."""
    model = io.BytesIO()
    gemma: dict[str, Any] = {
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "unk_id": 3,
        "bos_id": 2,
        "vocab_size": 380,
    }
    siglip = {"unk_id": 2, "bos_id": -1, "vocab_size": 120}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES * 20),
        model_writer=model,
        model_type=kind,
        pad_id=0,
        eos_id=1,
        hard_vocab_limit=False,
        minloglevel=2,
        **({"pad_piece": "<pad>", "eos_piece": "<eos>", "bos_piece": "<bos>"} | gemma)
        if kind == "bpe"
        else siglip,
    )
    return model.getvalue()


def gemma_tokenizer(model: bytes) -> Any:
    """SigLIP 2's tokenizer over the pieces of a SentencePiece model, as a JSON file."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    ids = range(processor.get_piece_size())
    vocabulary = {processor.id_to_piece(id): id for id in ids}
    merges = []
    for piece in sorted(vocabulary, key=lambda piece: -processor.get_score(vocabulary[piece])):
        if processor.is_byte(vocabulary[piece]) or processor.is_control(vocabulary[piece]):
            continue
        cuts = [(piece[:at], piece[at:]) for at in range(1, len(piece))]
        merges += [cut for cut in cuts if cut[0] in vocabulary and cut[1] in vocabulary]
    return reference().Siglip2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        add_bos_token=False,
        add_eos_token=True,
        padding_side="right",
    )
