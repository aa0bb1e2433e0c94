"""Models of the right shape whose weights do not matter: for time and memory they are real."""

from pathlib import Path
from typing import Final

import torch

from retrieval.compress.recipe import Recipe
from retrieval.compress.start.settings import STOCK, Start, Student, Vocabulary
from retrieval.language.bytepair import BYTE_SYMBOLS
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.checkpoint import save_checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.open_clip import HUB, RANDOM, load_open_clip, parse_name

_OPEN_CLIP: Final = STOCK[0]
_MARKS: Final = 2


def teacher_stand_in(source: str, folder: Path) -> str:
    """A teacher to profile: the real one where that costs no download.

    Args:
        source: As a recipe names it.
        folder: Gets a checkpoint with random weights, where one is needed.

    Returns:
        ``source``, or ``folder``.
    """
    name = source.removeprefix(_OPEN_CLIP)
    if name == source or name.startswith(HUB):
        return source
    wanted = parse_name(name)
    if wanted.pretrained is not None and Path(wanted.pretrained).is_file():
        return source
    made = load_open_clip(f"{wanted.model}/{RANDOM}", random_weights=True)
    save_checkpoint(folder, made.model, made.tokenizer)
    return str(folder)


def student_stand_in(recipe: Recipe, folder: Path) -> Student:
    """Write a student of the recipe's shape with random weights; what a recipe says of it.

    Its vocabulary has as many tokens as the recipe asks for, the most frequent of CLIP's; all
    of them where only the data could tell how many.
    """
    wanted = recipe.student
    tokenizer = tokenizer_of_size(wanted.vocabulary)
    torch.manual_seed(recipe.seed)
    save_checkpoint(folder, DualEncoder(wanted.config(tokenizer.spec)), tokenizer)
    frozen = wanted.start.freeze_token_embedding
    start = Start(checkpoint=folder, freeze_token_embedding=frozen)
    return wanted.model_copy(update={"start": start, "vocabulary": Vocabulary()})


def tokenizer_of_size(vocabulary: Vocabulary) -> Tokenizer:
    """CLIP's tokenizer, cut to the vocabulary's size where that is known."""
    context = vocabulary.context_length
    if not isinstance(vocabulary.size, int):
        return Tokenizer.clip(context)
    kept = Tokenizer.clip(context).merges[: vocabulary.size - len(BYTE_SYMBOLS) - _MARKS]
    return Tokenizer.from_merges("".join(f"{line}\n" for line in kept), context_length=context)
