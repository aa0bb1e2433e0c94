"""The student at its start: vocabulary, shape, and the weights that the recipe names."""

import torch
from torch import Tensor

from retrieval.compress.embed import embed_features
from retrieval.compress.recipe import Recipe
from retrieval.compress.start.correlation import canonical_correlation, factorised, token_bags
from retrieval.compress.start.inherit import inherit_image, inherit_text
from retrieval.compress.start.scores import Samples
from retrieval.compress.start.settings import LARGEST_CORRELATED
from retrieval.compress.start.sources import Sources
from retrieval.compress.start.vocabulary import make_tokenizer
from retrieval.compress.start.weights import load_backbone_weights
from retrieval.compress.teaching.teacher import Captioned, read_captioned
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.checkpoint import load_checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.text import TextTransformer
from retrieval.models.timm_tower import TimmImageTower
from retrieval.spec.errors import RecipeError
from retrieval.spec.model import OpenClipTower

# Beyond this many captions a closed-form start gains nothing and costs memory.
_MOST_CAPTIONS = 200_000


def make_student(recipe: Recipe) -> tuple[DualEncoder, Tokenizer]:
    """Build the student of a recipe; the same recipe gives the same weights.

    Raises:
        RecipeError: A start does not fit the student's shape.
        CheckpointError: A tower of that kind and size cannot be made.
    """
    student = recipe.student
    start = student.start
    if isinstance(student.image, OpenClipTower):
        raise RecipeError("student.image: open_clip towers can teach, not learn; use timm or vit")
    if start.checkpoint is not None:
        return _from_checkpoint(recipe)
    sources = Sources(next(iter(recipe.teachers), None))
    tokenizer = make_tokenizer(recipe, sources)
    torch.manual_seed(recipe.seed)
    model = DualEncoder(student.config(tokenizer.spec))
    if start.image_weights:
        load_backbone_weights(model.image, start.image_weights)
    _inherit_layers(recipe, model, tokenizer, sources)
    if start.canonical_correlation is not None:
        _start_from_correlation(recipe, model, tokenizer)
    return model, tokenizer


def _from_checkpoint(recipe: Recipe) -> tuple[DualEncoder, Tokenizer]:
    assert recipe.student.start.checkpoint is not None
    loaded = load_checkpoint(recipe.student.start.checkpoint)
    config = loaded.config
    wanted = recipe.student
    for part in ("embedding_dim", "image", "text"):
        if getattr(config, part) != getattr(wanted, part):
            raise RecipeError(
                f"student.{part} differs from {wanted.start.checkpoint}; "
                "start.checkpoint needs the same shape"
            )
    changed = {"name": wanted.name, "preprocessing": wanted.preprocessing}
    loaded.model.config = config.model_copy(update=changed)
    return loaded.model, loaded.tokenizer


def _inherit_layers(
    recipe: Recipe, model: DualEncoder, tokenizer: Tokenizer, sources: Sources
) -> None:
    start = recipe.student.start
    samples = Samples(recipe.data, recipe.seed)
    if start.text_layers is not None:
        source = sources.open(start.text_layers.source, "start.text_layers")
        frozen = start.freeze_token_embedding
        inherit_text(model, tokenizer, source, start.text_layers, samples, frozen=frozen)
    if start.image_layers is not None:
        source = sources.open(start.image_layers.source, "start.image_layers")
        inherit_image(model, source, start.image_layers, samples)


@torch.no_grad()
def _start_from_correlation(recipe: Recipe, model: DualEncoder, tokenizer: Tokenizer) -> None:
    settings = recipe.student.start.canonical_correlation
    tower, text = model.image, model.text
    assert settings is not None
    if not isinstance(tower, TimmImageTower) or not tower.standardise:
        raise RecipeError("start.canonical_correlation needs a timm tower with standardise: true")
    if not isinstance(text, TextTransformer) or text.bag_projection is None:
        raise RecipeError("start.canonical_correlation needs a text tower with bag_of_tokens")
    if model.config.embedding_dim > tower.projection.in_features:
        raise RecipeError(
            f"start.canonical_correlation: student.embedding_dim {model.config.embedding_dim} "
            f"exceeds the image tower's {tower.projection.in_features} features"
        )
    if tokenizer.vocabulary_size > LARGEST_CORRELATED:
        raise RecipeError(
            "start.canonical_correlation inverts a matrix of all tokens; student.vocabulary has "
            f"{tokenizer.vocabulary_size}, set its size to at most {LARGEST_CORRELATED}"
        )
    pairs = _at_most(read_captioned(recipe.data.pairs), _MOST_CAPTIONS)
    model.eval()
    features = embed_features(model, tower, pairs.photos, workers=2)
    _standardise(tower, features)
    standardised = (features - tower.feature_mean) * tower.feature_scale
    bags = token_bags(tokenizer.batch(pairs.sentences), tokenizer)
    found = canonical_correlation(
        standardised, bags, pairs.photo_of_sentence, settings, model.config.embedding_dim
    )
    # Both sides start at a mean length of one, the scale on which the towers' other terms act.
    scale = 1 / (standardised @ found.image).norm(dim=1).mean()
    tower.projection.weight.copy_(found.image.T * scale)
    tower.projection.bias.zero_()
    embedding, projection = factorised(found, text.token_embedding.embedding_dim)
    bag_length = (bags @ found.token + found.text_offset).norm(dim=1).mean()
    text.token_embedding.weight.copy_(embedding)
    text.bag_projection.weight.copy_(projection.T / bag_length)
    text.bag_projection.bias.copy_(found.text_offset / bag_length)


def _standardise(tower: TimmImageTower, features: Tensor) -> None:
    deviation = features.std(dim=0)
    # A feature that no photo excites says nothing; scaled up, a later photo's trace of it
    # would drown the others.
    alive = deviation > 1e-4 * deviation.mean()
    tower.feature_mean.copy_(features.mean(dim=0))
    tower.feature_scale.copy_(torch.where(alive, 1 / deviation, 0.0))


def _at_most(pairs: Captioned, captions: int) -> Captioned:
    if len(pairs.sentences) <= captions:
        return pairs
    photos = int(pairs.photo_of_sentence[captions])
    kept = int((pairs.photo_of_sentence < photos).sum())
    return Captioned(pairs.photos[:photos], pairs.sentences[:kept], pairs.photo_of_sentence[:kept])
