from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from retrieval.compress.data.photos import PhotoViews
from retrieval.compress.data.views import View, ViewRules, draw_resizing, draw_view
from retrieval.compress.loop.settings import Augmentation
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.resizing import RESIZINGS
from tests.compress.random_views import random_view
from tests.vision.test_resizing import photo

SPEC = Preprocessing(size=16, interpolation="bicubic")


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        photo(60 + number, 45).save(path)
    return paths


def test_the_model_s_own_filter_is_the_default() -> None:
    assert {draw_resizing(SPEC, Augmentation(), seed) for seed in range(20)} == {"bicubic"}


def test_mixed_draws_every_filter_about_as_often() -> None:
    mixed = Augmentation(resizing="mixed")
    drawn = Counter(draw_resizing(SPEC, mixed, seed) for seed in range(2000))
    assert set(drawn) == set(RESIZINGS)
    assert min(drawn.values()) > 120
    assert max(drawn.values()) < 290


def test_a_list_is_drawn_from() -> None:
    some = Augmentation(resizing=("bilinear", "plain-bilinear"))
    assert {draw_resizing(SPEC, some, seed) for seed in range(50)} == {"bilinear", "plain-bilinear"}


def test_the_filter_changes_the_pixels_but_not_the_view() -> None:
    image = photo(90, 60)
    plain, mixed = Augmentation(mirror=False), Augmentation(mirror=False, resizing="mixed")
    same = 0
    for seed in range(30):
        views = [
            draw_view(image.size, ViewRules.of(SPEC, one), seed, True) for one in (plain, mixed)
        ]
        assert views[0] == views[1]
        shown = [random_view(image, SPEC, one, seed, True).astype(int) for one in (plain, mixed)]
        assert np.abs(shown[0] - shown[1]).mean() < 8
        same += int((shown[0] == shown[1]).all())
    assert same < 15


def test_a_resumed_run_sees_the_same_photos(photos: list[Path]) -> None:
    """Views are a function of seed, epoch and index, whoever loads them and when."""
    augmentation = Augmentation(resizing="mixed")
    first, again = (PhotoViews(photos, SPEC, augmentation, seed=3) for _ in range(2))
    order = [[0, 1], [2, 3]]
    whole = [list(first.batches(order, epoch, 0)) for epoch in range(3)]
    resumed = list(again.batches(order[1:], 2, 2))
    assert torch.equal(whole[2][1], resumed[0])
    assert not torch.equal(whole[1][1], whole[2][1])


def test_stored_views_are_shown_through_other_filters_too(photos: list[Path]) -> None:
    stored = np.array([[View(0.1, 0.1, 0.9, 0.9)]] * len(photos))
    own, mixed = (
        PhotoViews(photos, SPEC, augmentation, seed=3, stored=stored)
        for augmentation in (Augmentation(), Augmentation(resizing=("linear-light-lanczos",)))
    )
    assert torch.equal(own[0, 1], own[1, 1])
    assert not torch.equal(own[0, 1], mixed[0, 1])
    assert own.rows(1, [1]) == mixed.rows(1, [1])


def test_settings_that_name_no_filter_are_written_as_before() -> None:
    """Finished stages are found by a hash of their settings."""
    assert "resizing" not in Augmentation().model_dump(mode="json")
    written = Augmentation(resizing="mixed").model_dump(mode="json")
    assert Augmentation.model_validate(written).resizing == "mixed"


@pytest.mark.parametrize("wrong", ["nearest", ["nearest"], []])
def test_unknown_filters_are_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        Augmentation.model_validate({"resizing": wrong})
