from pathlib import Path

import pytest
import torch
from torch import Tensor

from retrieval.compress import embed
from retrieval.compress.embed import embed_photos
from retrieval.models.dual_encoder import DualEncoder
from tests.tiny import tiny_model

PHOTOS = [Path("a.png"), Path("b.png")]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []

    def over(model: DualEncoder, photos: list[Path], function: object, workers: int) -> Tensor:
        found.append(len(photos))
        return torch.zeros(len(photos), 16)

    monkeypatch.setattr(embed, "_over_photos", over)
    monkeypatch.setattr(embed, "_memory", {})
    return found


@pytest.fixture
def frozen() -> DualEncoder:
    return tiny_model().requires_grad_(False)


def test_a_frozen_tower_embeds_the_same_photos_once(passes: list[int], frozen: DualEncoder) -> None:
    first = embed_photos(frozen, PHOTOS, workers=0)
    assert embed_photos(frozen, PHOTOS, workers=0) is first
    assert passes == [2]


def test_other_photos_and_other_weights_are_embedded(
    passes: list[int], frozen: DualEncoder
) -> None:
    embed_photos(frozen, PHOTOS, workers=0)
    embed_photos(frozen, PHOTOS[:1], workers=0)
    next(frozen.image.parameters()).view(-1)[0] += 1
    embed_photos(frozen, PHOTOS, workers=0)
    assert passes == [2, 1, 2]


def test_what_the_text_tower_does_changes_no_photo(passes: list[int], frozen: DualEncoder) -> None:
    embed_photos(frozen, PHOTOS, workers=0)
    next(frozen.text.parameters()).view(-1)[0] += 1
    frozen.text.requires_grad_(True)
    embed_photos(frozen, PHOTOS, workers=0)
    assert passes == [2]


def test_a_tower_in_training_is_asked_every_time(passes: list[int], frozen: DualEncoder) -> None:
    frozen.image.requires_grad_(True)
    embed_photos(frozen, PHOTOS, workers=0)
    embed_photos(frozen, PHOTOS, workers=0)
    assert passes == [2, 2]


def test_two_corpora_are_remembered_and_no_more(passes: list[int], frozen: DualEncoder) -> None:
    corpora = [[Path(f"{number}.png")] for number in range(3)]
    for corpus in (*corpora, corpora[2], corpora[1], corpora[0]):
        embed_photos(frozen, corpus, workers=0)
    assert len(passes) == 4


def test_what_an_evaluation_embedded_can_be_trained_with(
    passes: list[int], frozen: DualEncoder
) -> None:
    with torch.inference_mode():
        found = embed_photos(frozen, PHOTOS, workers=0)
    assert not found.is_inference()
