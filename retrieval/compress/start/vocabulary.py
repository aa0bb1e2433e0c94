"""The student's tokenizer: CLIP's, trained on the recipe's sentences, or another model's."""

from collections.abc import Iterator

from retrieval.compress.recipe import Recipe
from retrieval.compress.start.sources import Sources
from retrieval.corpora.sentences import read_sentences
from retrieval.language.cutting import cut_vocabulary
from retrieval.language.tokenizer import Tokenizer
from retrieval.language.training import train_vocabulary
from retrieval.spec.errors import RecipeError


def make_tokenizer(recipe: Recipe, sources: Sources) -> Tokenizer:
    """The tokenizer that a recipe asks for; the same recipe gives the same.

    Raises:
        RecipeError: There are no sentences to learn or to choose tokens by, or the source
            has no tokens to take.
    """
    vocabulary = recipe.student.vocabulary
    context = vocabulary.context_length
    if vocabulary.size == "clip":
        return Tokenizer.clip(context)
    if vocabulary.source is None:
        assert isinstance(vocabulary.size, int)
        sentences = recipe_sentences(recipe)
        return train_vocabulary(sentences, size=vocabulary.size, context_length=context)
    source = sources.open(vocabulary.source, "student.vocabulary").tokenizer
    if vocabulary.size == "whole":
        return source.with_context(context)
    size = vocabulary.size if isinstance(vocabulary.size, int) else None
    sentences = recipe_sentences(recipe)
    return cut_vocabulary(source, sentences, size=size, context_length=context)


def recipe_sentences(recipe: Recipe) -> Iterator[str]:
    """Every sentence and caption that a recipe trains on, in order, with repetitions.

    Raises:
        RecipeError: The recipe names none.
    """
    files = [*recipe.data.sentences, *recipe.data.pairs]
    if not files:
        raise RecipeError(
            "student.vocabulary: nothing to learn tokens from in data.sentences or data.pairs; "
            "use size: clip"
        )
    return (text for file in files for text in read_sentences(file))
