"""Transformer towers that start from another model's, whole or cut to size."""

import torch
from torch import nn

from retrieval.compress.start.factors import copy_linear
from retrieval.compress.start.narrow import narrowed
from retrieval.compress.start.scores import Samples
from retrieval.compress.start.settings import Inherited
from retrieval.compress.start.tokens import knows_all, translated_rows
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.checkpoint import Checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.low_rank import whole_weight
from retrieval.models.surgery.low_rank import set_token_embedding
from retrieval.models.transformer import Block
from retrieval.models.vit import VisionTransformer
from retrieval.spec.errors import RecipeError
from retrieval.spec.model import VitTower


@torch.no_grad()
def inherit_text(
    student: DualEncoder,
    tokenizer: Tokenizer,
    source: Checkpoint,
    settings: Inherited,
    samples: Samples,
    *,
    frozen: bool = False,
) -> None:
    """Start a student's text tower from a source's, in place (ETD; TinyCLIP, manual).

    Blocks, final norm, positions and token embedding are copied, a token that the source
    lacks starts at the mean of its pieces there. Projections are copied where they fit.

    Args:
        student: Its text tower is no deeper or wider than the source's.
        tokenizer: The student's.
        source: Not changed.
        settings: Which layers and units.
        samples: What to score importance on.
        frozen: The token embedding will not be trained.

    Raises:
        RecipeError: The towers do not fit, or the embedding would be frozen where tokens
            are not the source's own.
    """
    text, given = student.text, source.model.text
    if text.spec.causal != given.spec.causal:
        raise RecipeError(
            f"start.text_layers: student.text.causal is {str(text.spec.causal).lower()} and the "
            f"source's {str(given.spec.causal).lower()}; inherited layers need the same"
        )
    if text.context_length > given.context_length:
        raise RecipeError(
            f"start.text_layers: student.vocabulary.context_length is {text.context_length}, and "
            f"the source has {given.context_length} positions; use at most that many"
        )
    if frozen and not knows_all(source.tokenizer, tokenizer):
        raise RecipeError(
            "start.freeze_token_embedding needs the source's own tokens; set student.vocabulary "
            "to {from: the same source, size: used}"
        )
    cut = narrowed(source, "text", text.spec.blocks, settings, samples).text
    _copy_blocks(text.blocks, cut.blocks)
    _copy_where_it_fits(text.final_norm, cut.final_norm)
    text.position_embedding.copy_(cut.position_embedding[: text.context_length])
    table = whole_weight(cut.token_embedding)
    set_token_embedding(text, translated_rows(table, source.tokenizer, tokenizer))
    _copy_where_it_fits(text.projection, cut.projection)
    if text.bag_projection is not None and cut.bag_projection is not None:
        _copy_where_it_fits(text.bag_projection, cut.bag_projection)


@torch.no_grad()
def inherit_image(
    student: DualEncoder, source: Checkpoint, settings: Inherited, samples: Samples
) -> None:
    """Start a student's vit image tower from a source's, in place; as `inherit_text`.

    Raises:
        RecipeError: The source's tower is of another kind or does not fit.
    """
    wanted, given = student.config, source.config
    if not isinstance(given.image, VitTower):
        raise RecipeError(
            f"start.image_layers: the source's image tower is of kind {given.image.kind}; only "
            "one of kind vit has layers to inherit"
        )
    assert isinstance(wanted.image, VitTower)
    of_student = (wanted.image.patch, wanted.preprocessing.size)
    of_source = (given.image.patch, given.preprocessing.size)
    if of_student != of_source:
        raise RecipeError(
            f"start.image_layers: the student has patches of {of_student[0]} in photos of "
            f"{of_student[1]} pixels, the source {of_source[0]} in {of_source[1]}; use the same"
        )
    tower = student.image
    cut = narrowed(source, "image", wanted.image.blocks, settings, samples).image
    assert isinstance(tower, VisionTransformer)
    assert isinstance(cut, VisionTransformer)
    _copy_blocks(tower.blocks, cut.blocks)
    for name in ("patch_embedding", "first_norm", "final_norm", "projection"):
        _copy_where_it_fits(getattr(tower, name), getattr(cut, name))
    tower.class_token.copy_(cut.class_token)
    tower.position_embedding.copy_(cut.position_embedding)


def _copy_blocks(targets: nn.Sequential, sources: nn.Sequential) -> None:
    for target, source in zip(targets, sources, strict=True):
        assert isinstance(target, Block)
        assert isinstance(source, Block)
        _copy_where_it_fits(target.attention_norm, source.attention_norm)
        _copy_where_it_fits(target.mlp_norm, source.mlp_norm)
        linears = source.linears
        for name, linear in target.linears.items():
            copy_linear(linear, linears[name])


def _copy_where_it_fits(target: nn.Module, source: nn.Module) -> None:
    """Copy all weights of a module, or none where a shape differs."""
    wanted, given = target.state_dict(), source.state_dict()
    if all(wanted[name].shape == tensor.shape for name, tensor in given.items()):
        target.load_state_dict(given)
