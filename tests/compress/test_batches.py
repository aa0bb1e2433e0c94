from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from retrieval.compress.data.order import batches_by_length, item_seed, shuffled_batches
from retrieval.compress.data.photos import PhotoViews
from retrieval.compress.data.tokens import hide_tokens, token_lengths, trimmed
from retrieval.compress.data.views import may_mirror
from retrieval.compress.loop.settings import Augmentation
from retrieval.spec.errors import PhotoError
from retrieval.spec.model import TextTower
from retrieval.spec.preprocessing import Preprocessing
from tests.compress.random_views import random_view
from tests.fixtures.make_photos import make_awkward_photos
from tests.tiny import TEXT, tiny_tokenizer

CAUSAL = TextTower.model_validate(TEXT)


def flat(batches: list[list[int]]) -> list[int]:
    return [index for batch in batches for index in batch]


def test_every_item_comes_once_an_epoch_in_another_order() -> None:
    lengths = np.arange(96) % 11
    for epochs in (
        [shuffled_batches(96, 8, seed=1, epoch=epoch) for epoch in range(3)],
        [batches_by_length(lengths, 8, seed=1, epoch=epoch, window=4) for epoch in range(3)],
    ):
        for batches in epochs:
            assert sorted(flat(batches)) == list(range(96))
            assert {len(batch) for batch in batches} == {8}
        assert epochs[0] != epochs[1] != epochs[2]


def test_order_is_a_function_of_seed_and_epoch() -> None:
    assert shuffled_batches(50, 8, seed=3, epoch=2) == shuffled_batches(50, 8, seed=3, epoch=2)
    assert shuffled_batches(50, 8, seed=3, epoch=2) != shuffled_batches(50, 8, seed=4, epoch=2)
    lengths = np.arange(50)
    assert batches_by_length(lengths, 8, seed=3, epoch=2) == batches_by_length(
        lengths, 8, seed=3, epoch=2
    )


def test_an_incomplete_batch_is_left_out_unless_it_is_the_only_one() -> None:
    assert [len(batch) for batch in shuffled_batches(20, 8, seed=0, epoch=0)] == [8, 8]
    assert sorted(flat(shuffled_batches(5, 8, seed=0, epoch=0))) == [0, 1, 2, 3, 4]
    assert sorted(flat(batches_by_length(np.ones(5), 8, seed=0, epoch=0))) == [0, 1, 2, 3, 4]


def test_batches_by_length_hold_similar_lengths() -> None:
    lengths = np.random.default_rng(0).integers(3, 30, 640)
    batches = batches_by_length(lengths, 16, seed=0, epoch=0)
    spread = np.mean([np.ptp(lengths[batch]) for batch in batches])
    assert (
        spread
        < 2
        < np.mean([np.ptp(lengths[b]) for b in shuffled_batches(640, 16, seed=0, epoch=0)])
    )
    # Short and long batches alternate; otherwise the last steps would see long ones only.
    means = [lengths[batch].mean() for batch in batches]
    assert means != sorted(means)


def test_item_seeds_differ_between_items_epochs_and_runs() -> None:
    seeds = {item_seed(s, e, i) for s in range(3) for e in range(20) for i in range(500)}
    assert len(seeds) == 3 * 20 * 500


def gradient(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards."""
    red = np.linspace(0, 255, width)[None].repeat(height, 0)
    green = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return Image.fromarray(np.stack([red, green, 0 * red], axis=2).astype(np.uint8))


def test_the_same_seed_gives_the_same_view() -> None:
    photo, spec = gradient(90, 60), Preprocessing(size=32)
    augmentation = Augmentation(colour=0.3)
    views = [random_view(photo, spec, augmentation, seed, True) for seed in (1, 1, 2)]
    assert (views[0] == views[1]).all()
    assert (views[0] != views[2]).any()


@pytest.mark.parametrize("mode", ["shortest", "squash", "longest"])
@pytest.mark.parametrize("size", [(90, 60), (60, 90), (61, 61), (200, 3)])
def test_views_lie_inside_the_photo_and_have_their_size(mode: str, size: tuple[int, int]) -> None:
    spec = Preprocessing.model_validate({"size": 32, "resize_mode": mode})
    augmentation = Augmentation(size=24, min_area=0.3, aspect=2, mirror=False)
    for seed in range(40):
        view = random_view(gradient(*size), spec, augmentation, seed, True)
        assert view.shape == (3, 24, 24)
        assert view.dtype == np.uint8
        # What lies outside a photo would be black, and break the rise to the right.
        assert (np.diff(view[0].mean(axis=0)) > -1).all()


def test_the_area_of_crops_is_what_the_recipe_says() -> None:
    spec = Preprocessing(size=32, resize_mode="squash")
    areas = []
    for seed in range(200):
        augmentation = Augmentation(min_area=0.5, aspect=1, mirror=False)
        view = random_view(gradient(100, 100), spec, augmentation, seed, True).astype(float)
        width = (view[0, :, -1] - view[0, :, 0]).mean() / 255
        height = (view[1, -1] - view[1, 0]).mean() / 255
        areas.append(width * height * (32 / 31) ** 2)
    assert 0.45 < min(areas) < 0.55
    assert 0.95 < max(areas) < 1.05


def test_photos_are_mirrored_half_of_the_time_unless_forbidden() -> None:
    spec, augmentation = Preprocessing(size=32), Augmentation()

    def mirrored(may: bool, wanted: Augmentation = augmentation) -> int:
        views = [random_view(gradient(60, 60), spec, wanted, seed, may) for seed in range(100)]
        return sum(int(view[0, 0, 0]) > int(view[0, 0, -1]) for view in views)

    assert 30 < mirrored(True) < 70
    assert mirrored(False) == 0
    assert mirrored(True, Augmentation(mirror=False)) == 0


def test_captions_that_speak_of_sides_forbid_mirroring() -> None:
    assert may_mirror(["a dog", "leftover food on a plate, brightly lit"])
    assert not may_mirror(["a dog", "A dog to the LEFT of a cat"])
    assert not may_mirror(["on the right, a boat"])


def test_workers_and_none_load_the_same(tmp_path: Path) -> None:
    photos = []
    for number in range(6):
        photos.append(tmp_path / f"{number}.png")
        gradient(40 + number, 30).save(photos[-1])
    views = PhotoViews(photos, Preprocessing(size=16), Augmentation(), seed=5)
    order = [[3, 1], [0, 5], [2, 4]]
    state = torch.get_rng_state()
    alone, helped = (list(views.batches(order, 2, workers)) for workers in (0, 2))
    assert all(torch.equal(one, other) for one, other in zip(alone, helped, strict=True))
    assert [tuple(batch.shape) for batch in alone] == [(2, 3, 16, 16)] * 3
    # Loading draws nothing from the generator that dropout draws from.
    assert torch.equal(torch.get_rng_state(), state)


def test_odd_photos_are_read_as_inference_reads_them(tmp_path: Path) -> None:
    awkward = make_awkward_photos(tmp_path / "photos")
    spec = Preprocessing(size=16)
    views = PhotoViews(list(awkward.values()), spec, Augmentation(), seed=0)
    for number, name in enumerate(awkward):
        try:
            assert views[0, number].shape == (3, 16, 16), name
        except PhotoError:
            with pytest.raises(PhotoError, match="remove it from the photos and captions"):
                next(views.batches([[number]], 0, number % 2))


def test_trimming_keeps_every_token() -> None:
    tokenizer = tiny_tokenizer()
    ids = tokenizer.batch(["a dog", "two red stars", ""])
    short = trimmed(ids, CAUSAL)
    longest = int(token_lengths(ids, tokenizer).max())
    assert longest <= short.shape[1] < longest + 4
    assert (short.numpy() == ids[:, : short.shape[1]]).all()
    assert trimmed(ids, CAUSAL.model_copy(update={"causal": False})).shape == ids.shape


def test_hidden_tokens_are_words_at_the_rate_that_is_asked_for() -> None:
    tokenizer = tiny_tokenizer()
    ids = torch.from_numpy(tokenizer.batch(["dog cat bird fish " * 2] * 400)).long()
    torch.manual_seed(0)
    hidden = hide_tokens(ids, 0.25, tokenizer)
    spec = tokenizer.spec
    marks = (ids == spec.start_id) | (ids == spec.end_id)
    assert torch.equal(hidden[marks], ids[marks])
    words = ~marks & (ids != spec.pad_id)
    assert 0.2 < (hidden[words] == spec.pad_id).float().mean() < 0.3
    assert torch.equal(hidden[hidden != spec.pad_id], ids[hidden != spec.pad_id])
    assert hide_tokens(ids, 0.0, tokenizer) is ids
