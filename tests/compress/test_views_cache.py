import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from retrieval.compress.cache.build import build_cache
from retrieval.compress.cache.cache import TeacherCache, unfinished_folder
from retrieval.compress.cache.corpus import Corpus
from retrieval.compress.data.inputs import PhotoInputs
from retrieval.compress.data.photos import PhotoViews
from retrieval.compress.data.views import View, ViewRules, draw_view, show_view
from retrieval.compress.loop.reporter import SilentReporter
from retrieval.compress.loop.settings import Augmentation, Training
from retrieval.compress.teaching.reinforced import reinforce
from retrieval.compress.teaching.teacher import Teacher
from retrieval.corpora.pairs import CaptionedPhoto
from retrieval.spec.errors import CacheError
from retrieval.spec.preprocessing import Preprocessing
from tests.fakes import ColourEncoder
from tests.tiny import tiny_model

AUGMENTATION = Augmentation(min_area=0.1, aspect=1.5, colour=0.2)
STUDENT = Preprocessing(size=24, resize_mode="squash", interpolation="bilinear")
RULES = ViewRules.of(STUDENT, AUGMENTATION)


class MeanEncoder(ColourEncoder):
    """Embeds a photo as its mean colour, unscaled, so that pixels can be read back."""

    def __init__(self, size: int = 16, name: str = "mean") -> None:
        super().__init__(dim=3)
        self.name = self.fingerprint = name
        self.preprocessing = Preprocessing(size=size)

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        self.photos_encoded += len(pixels)
        return pixels.mean(axis=(2, 3)).astype(np.float32)


def smooth(width: int, height: int, blue: int) -> Image.Image:
    """Red grows to the right, green downwards: a mean colour says which part was seen."""
    red = np.linspace(0, 255, width)[None].repeat(height, 0)
    green = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    pixels = np.stack([red, green, np.full_like(red, blue)], axis=2)
    return Image.fromarray(pixels.astype(np.uint8))


def some_photos(folder: Path, count: int = 5) -> list[Path]:
    folder.mkdir(exist_ok=True)
    photos = [folder / f"{number}.png" for number in range(count)]
    for number, photo in enumerate(photos):
        smooth(90 + 7 * number, 60, 40 * number).save(photo)
    return photos


def build(
    corpus: Corpus, folder: Path, encoder: ColourEncoder | None = None, **options: Any
) -> tuple[TeacherCache, ColourEncoder]:
    encoder = encoder or MeanEncoder()
    options = {"shard_size": 4, "batch_size": 3, **options}
    return build_cache(encoder, corpus, folder, **options), encoder


def views_of(photos: Sequence[Path], count: int = 3, rules: ViewRules = RULES) -> Corpus:
    return Corpus.of_photos(photos).views(count, rules)


def test_a_view_is_a_function_of_its_seed_and_stays_within_the_rules() -> None:
    assert draw_view((90, 60), RULES, 3, True) == draw_view((90, 60), RULES, 3, True)
    assert draw_view((90, 60), RULES, 3, True) == draw_view((45, 30), RULES, 3, True)
    views = [draw_view((90, 60), RULES, seed, True) for seed in range(200)]
    assert len(set(views)) == 200
    for view in views:
        across, down = view.right - view.left, view.bottom - view.top
        assert 0 <= view.left < view.right <= 1 and 0 <= view.top < view.bottom <= 1
        assert (
            across * down >= 0.99 * 0.1 and 1 / 1.51 <= across / down <= 1.51 or 1 in (across, down)
        )
        assert all(0.8 <= factor <= 1.2 for factor in view[5:])
    assert 60 < sum(view.mirrored for view in views) < 140
    assert not any(draw_view((90, 60), RULES, seed, False).mirrored for seed in range(50))


def test_a_view_shows_its_box_mirrored_and_recoloured() -> None:
    photo = smooth(200, 100, 50)
    box = View(0.5, 0.2, 1.0, 0.6)
    shown = show_view(photo, box, 10, "bilinear").astype(float)
    assert shown[0].mean() == pytest.approx(0.75 * 255, abs=2)
    assert shown[1].mean() == pytest.approx(0.4 * 255, abs=3)
    assert (np.diff(shown[0].mean(axis=0)) > 0).all()
    mirrored = show_view(photo, box._replace(mirrored=True), 10, "bilinear")
    assert (mirrored == shown[:, :, ::-1]).all()
    darker = show_view(photo, box._replace(brightness=0.5), 10, "bilinear")
    assert darker.mean() == pytest.approx(shown.mean() / 2, abs=1)


def test_the_cache_says_which_crop_gave_which_vector(tmp_path: Path) -> None:
    photos = some_photos(tmp_path / "photos")
    cache, encoder = build(views_of(photos), tmp_path / "out")
    assert encoder.photos_encoded == 15
    assert cache.photos == photos
    rows = [
        row
        for path in sorted((tmp_path / "out" / "metadata").iterdir())
        for row in pq.read_table(path).to_pylist()
    ]
    vectors = cache.view_embeddings()
    assert len(rows) == len(vectors) == 15
    for row, vector in zip(rows, vectors, strict=True):
        photo = Image.open(row["image_path"])
        view = View(*(row[name] for name in View._fields))
        assert view == draw_view(photo.size, RULES, row["view_seed"], row["may_mirror"])
        left, top = view.left * photo.width, view.top * photo.height
        right, bottom = view.right * photo.width, view.bottom * photo.height
        seen = photo.resize((16, 16), Image.Resampling.BICUBIC, (left, top, right, bottom))
        plain = np.asarray(seen, np.float64).mean(axis=(0, 1))
        # Recolouring moves the mean by at most a fifth of it; another crop moves it further.
        assert np.allclose(vector, plain, rtol=0.45, atol=25)
    assert len({tuple(row[name] for name in View._fields) for row in rows}) == 15


def test_student_and_teacher_see_the_same_crops_at_their_own_sizes(tmp_path: Path) -> None:
    photos = some_photos(tmp_path / "photos")
    # A large JPEG, which both decode at another fraction of its size.
    photos.append(tmp_path / "photos" / "large.jpg")
    smooth(1003, 701, 90).save(photos[-1], quality=95)
    cache, _ = build(views_of(photos), tmp_path / "out")
    student = PhotoViews(
        photos,
        STUDENT.model_copy(update={"interpolation": "bicubic"}),
        AUGMENTATION,
        seed=0,
        stored=cache.views(),
    )
    targets = cache.view_embeddings().astype(float)
    seen: dict[int, set[int]] = {}
    for epoch in range(3):
        rows = student.rows(epoch, range(6))
        (pixels,) = student.batches([list(range(6))], epoch, 0)
        assert pixels.shape == (6, 3, 24, 24)
        # Crops that differ at all differ by tens here; sizes by fractions of one.
        assert np.allclose(pixels.double().mean(dim=(2, 3)), targets[rows], atol=2.5)
        for index, row in enumerate(rows):
            assert row // 3 == index
            seen.setdefault(index, set()).add(row)
    assert all(len(rows) == 3 for rows in seen.values())
    assert len({row % 3 for row in student.rows(0, range(6))}) > 1
    assert student.rows(3, range(6)) == student.rows(0, range(6))


def test_captions_that_speak_of_sides_keep_a_photo_from_being_mirrored(tmp_path: Path) -> None:
    photos = some_photos(tmp_path / "photos", 2)
    pairs = [
        CaptionedPhoto(photos[0], ("a dog", "to the left, a cat")),
        CaptionedPhoto(photos[1], ("a dog", "a cat")),
    ]
    cache, _ = build(Corpus.of_pairs(pairs).views(20, RULES), tmp_path / "out")
    mirrored = cache.views()[:, :, View._fields.index("mirrored")].sum(axis=1)
    assert mirrored[0] == 0
    assert 0 < mirrored[1] < 20
    assert not cache.has_sentences


def test_only_new_and_changed_photos_and_views_are_embedded_again(tmp_path: Path) -> None:
    photos = some_photos(tmp_path / "photos")
    first, _ = build(views_of(photos), tmp_path / "out")
    before, seen = first.view_embeddings().copy(), first.views()
    _, encoder = build(views_of(photos), tmp_path / "out")
    assert encoder.photos_encoded == 0
    smooth(300, 60, 7).save(photos[0])
    photos[1] = photos[1].rename(tmp_path / "photos" / "moved.png")
    os.utime(photos[2], (1, 1))
    cache, encoder = build(views_of(photos, count=4), tmp_path / "out")
    assert encoder.photos_encoded == 4 + 4
    assert cache.built is not None and cache.built.reused == 12
    after = cache.view_embeddings().reshape(5, 4, 3)
    assert np.array_equal(after[1:, :3], before.reshape(5, 3, 3)[1:])
    assert np.array_equal(cache.views()[1:, :3], seen[1:])
    assert not np.array_equal(after[0, :3], before.reshape(5, 3, 3)[0])


def test_a_photo_that_cannot_be_decoded_loses_all_its_views(tmp_path: Path) -> None:
    photos = some_photos(tmp_path / "photos")
    photos[1].write_bytes(photos[1].read_bytes()[:200])
    cache, _ = build(views_of(photos), tmp_path / "out")
    assert cache.photos == [photos[0], *photos[2:]]
    assert cache.views().shape == (4, 3, len(View._fields))
    assert [path for path, _ in cache.unreadable] == [photos[1]]
    assert cache.built is not None and cache.built.computed == 12


def test_views_of_another_augmentation_are_another_cache(tmp_path: Path) -> None:
    photos = some_photos(tmp_path / "photos")
    cache, _ = build(views_of(photos), tmp_path / "out")
    assert cache.manifest is not None and cache.manifest.views == RULES
    other = RULES.model_copy(update={"min_area": 0.2})
    with pytest.raises(CacheError, match="views of another augmentation"):
        build(views_of(photos, rules=other), tmp_path / "out")
    with pytest.raises(CacheError, match="embeddings of views, not of photos"):
        build(Corpus.of_photos(photos), tmp_path / "out")
    with pytest.raises(CacheError, match="holds views, not whole photos"):
        cache.image_embeddings()
    whole, _ = build(Corpus.of_photos(photos), tmp_path / "whole")
    with pytest.raises(CacheError, match="no views"):
        whole.view_embeddings()


KILLED_WHILE_EMBEDDING = """
import os, signal, sys
from pathlib import Path
from tests.compress.test_views_cache import MeanEncoder, build, views_of

class Killed(MeanEncoder):
    def encode_pixels(self, pixels):
        if self.photos_encoded >= 9:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_pixels(pixels)

build(views_of(sorted(Path(sys.argv[1]).iterdir())), Path(sys.argv[2]), Killed())
"""


def test_a_cache_of_views_goes_on_after_a_kill(tmp_path: Path) -> None:
    photos = some_photos(tmp_path / "photos")
    out = tmp_path / "out"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_EMBEDDING, str(tmp_path / "photos"), str(out)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    # Shards of four rows cut the second photo's views apart.
    assert len(list(unfinished_folder(out).glob("metadata/*.parquet"))) == 2
    cache, encoder = build(views_of(photos), out)
    assert encoder.photos_encoded == 15 - 8
    expected, _ = build(views_of(photos), tmp_path / "never killed")
    assert np.array_equal(cache.view_embeddings(), expected.view_embeddings())
    assert np.array_equal(cache.views(), expected.views())


def test_several_teachers_have_targets_of_their_own_for_the_same_views(tmp_path: Path) -> None:
    photos = some_photos(tmp_path / "photos", 4)
    photos[1].write_bytes(b"no photo")
    teachers = []
    for name, size in (("small teacher", 12), ("large teacher", 40)):
        teacher = Teacher(name, tmp_path / "caches", SilentReporter())
        teacher.encoder = MeanEncoder(size, name)
        teachers.append(teacher)
    found = reinforce(teachers, [tmp_path / "photos"], 2, RULES)
    assert found.paths == [photos[0], *photos[2:]]
    assert found.views.shape == (3, 2, len(View._fields))
    assert [tuple(one.shape) for one in found.targets] == [(6, 3), (6, 3)]
    assert not torch.equal(*found.targets)
    assert torch.allclose(*(one.float() for one in found.targets), atol=4)
    inputs = PhotoInputs(
        found.paths,
        tiny_model(),
        Training(batch_size=3, loader_workers=0, augmentation=AUGMENTATION),
        seed=1,
        stored=found.views,
    )
    ((rows, pixels),) = inputs.batches(0, 0)
    assert sorted(row // 2 for row in rows.tolist()) == [0, 1, 2]
    assert torch.allclose(pixels.float().mean(dim=(2, 3)), found.targets[1][rows].float(), atol=4)
    for one in found.targets:
        assert len(one) == len(found.paths) * 2


def test_teachers_that_saw_different_views_are_refused(tmp_path: Path) -> None:
    photos = some_photos(tmp_path / "photos", 2)

    class Changes(MeanEncoder):
        def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
            smooth(33, 200, 1).save(photos[0])
            return super().encode_pixels(pixels)

    teachers = [Teacher(name, tmp_path / "caches", SilentReporter()) for name in "ab"]
    teachers[0].encoder, teachers[1].encoder = Changes(name="a"), MeanEncoder(name="b")
    with pytest.raises(CacheError, match="did not see the same views"):
        reinforce(teachers, [tmp_path / "photos"], 2, RULES)
