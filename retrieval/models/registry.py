"""From a tower's specification to its module."""

from torch import nn

from retrieval.models.attention_pooled import AttentionPooledTransformer
from retrieval.models.text import TextTransformer
from retrieval.models.timm_tower import TimmImageTower
from retrieval.models.vit import VisionTransformer
from retrieval.spec.errors import CheckpointError
from retrieval.spec.model import AttentionPooledTower, ModelConfig, OpenClipTower, TimmTower


def make_image_tower(config: ModelConfig) -> nn.Module:
    """Image tower with random weights: pixels ``(batch, 3, size, size)`` to ``(batch, dim)``.

    Raises:
        CheckpointError: The tower is unknown to timm or open_clip, or the input size does
            not fit its patches.
    """
    spec = config.image
    if isinstance(spec, TimmTower):
        return TimmImageTower(spec, config.embedding_dim)
    if isinstance(spec, OpenClipTower):
        from retrieval.models.open_clip import make_open_clip_image_tower

        return make_open_clip_image_tower(spec, config.embedding_dim)
    if isinstance(spec, AttentionPooledTower):
        return AttentionPooledTransformer(spec, config.preprocessing.size, config.embedding_dim)
    if config.preprocessing.size % spec.patch:
        raise CheckpointError(
            f"{config.name}: input size {config.preprocessing.size} is not a multiple "
            f"of the patch size {spec.patch}"
        )
    return VisionTransformer(spec, config.preprocessing.size, config.embedding_dim)


def make_text_tower(config: ModelConfig) -> TextTransformer:
    """Text tower with random weights: ids ``(batch, length)`` to ``(batch, dim)``."""
    return TextTransformer(config.text, config.tokens, config.embedding_dim)
