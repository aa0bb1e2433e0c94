import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from retrieval.compress.data import store as store_module
from retrieval.compress.data.photos import PhotoViews
from retrieval.compress.data.store import PixelStore
from retrieval.compress.loop.settings import Augmentation
from retrieval.spec.errors import PhotoError
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.decode import EXTENT, open_photo
from tests.fixtures.make_photos import make_awkward_photos

SPEC = Preprocessing(size=16, resize_mode="squash")


def some_photos(folder: Path, count: int = 6, side: int = 40) -> list[Path]:
    folder.mkdir(exist_ok=True)
    photos = [folder / f"{number}.png" for number in range(count)]
    for number, photo in enumerate(photos):
        noise = np.random.default_rng(number).integers(0, 256, (side, side + number, 3), np.uint8)
        Image.fromarray(noise).save(photo)
    return photos


def build(tmp_path: Path, photos: list[Path], **options: int) -> PixelStore:
    options = {"target": 16, "limit": 10**9, **options}
    return PixelStore.build(tmp_path / "store", photos, SPEC, **options)


def forget_how_to_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(photo: Path, **_: object) -> Image.Image:
        raise PhotoError(f"{photo} was decoded")

    monkeypatch.setattr(store_module, "open_photo", refuse)


def test_stored_photos_are_byte_for_byte_what_decoding_gives(tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    awkward = make_awkward_photos(tmp_path / "photos")
    noise = np.random.default_rng(0).integers(0, 256, (301, 403, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise).save(large, exif=exif)
    for target in (16, 64):
        store = build(tmp_path, [*awkward.values(), large], target=target)
        for photo in [*awkward.values(), large]:
            try:
                expected = open_photo(photo, target=target)
            except PhotoError as error:
                with pytest.raises(PhotoError, match=str(error)[:20]):
                    store.open(photo)
                continue
            found = store.open(photo)
            assert found.tobytes() == expected.tobytes(), photo
            assert found.info[EXTENT] == expected.info[EXTENT]
            assert photo in store._of_path


def test_views_from_the_store_are_those_from_files_also_in_threads(tmp_path: Path) -> None:
    photos = some_photos(tmp_path / "photos")
    augmentation = Augmentation(colour=0.3)
    order = [[3, 1], [0, 5], [2, 4]]
    store = build(tmp_path, photos, part_bytes=9000)
    files = PhotoViews(photos, SPEC, augmentation, seed=5)
    kept = PhotoViews(photos, SPEC, augmentation, seed=5, store=store)
    expected = list(files.batches(order, 2, 0))
    for workers in (0, 2):
        found = list(kept.batches(order, 2, workers))
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_photos_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = some_photos(tmp_path / "photos")
    seen: list[tuple[int, int]] = []
    first = PixelStore.build(
        tmp_path / "store", photos[:4], SPEC, target=16, limit=10**9,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert (first.decoded, len(first)) == (4, 4)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    second = build(tmp_path, photos[2:])
    assert (second.decoded, len(second)) == (2, 4)
    forget_how_to_decode(monkeypatch)
    third = build(tmp_path, photos)
    assert (third.decoded, len(third)) == (0, 6)
    assert third.open(photos[0]).size == (40, 40)


def test_a_killed_build_goes_on_after_the_last_whole_part(tmp_path: Path) -> None:
    photos = some_photos(tmp_path / "photos")

    def kill(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    # Two photos of 4,800 bytes and more fill a part.
    with pytest.raises(KeyboardInterrupt):
        PixelStore.build(
            tmp_path / "store", photos, SPEC, target=16, limit=10**9, part_bytes=9000, progress=kill
        )
    store = build(tmp_path, photos, part_bytes=9000)
    assert (store.decoded, len(store)) == (4, 6)
    assert all(store.open(p).tobytes() == open_photo(p).tobytes() for p in photos)


@pytest.mark.parametrize("damage", ["cut pixels", "cut list", "list of nonsense", "no list"])
def test_a_damaged_part_is_decoded_again(tmp_path: Path, damage: str) -> None:
    photos = some_photos(tmp_path / "photos")
    folder = build(tmp_path, photos).folder
    pixels, listed = next(folder.glob("*.pixels")), next(folder.glob("*.json"))
    if damage == "cut pixels":
        pixels.write_bytes(pixels.read_bytes()[:-1])
    elif damage == "cut list":
        listed.write_text(listed.read_text()[:100])
    elif damage == "list of nonsense":
        listed.write_text(json.dumps([["one", 2]]))
    else:
        listed.unlink()
    store = build(tmp_path, photos)
    assert (store.decoded, len(store)) == (6, 6)
    assert all(store.open(p).tobytes() == open_photo(p).tobytes() for p in photos)


def test_what_does_not_fit_is_decoded_from_its_file(tmp_path: Path) -> None:
    photos = some_photos(tmp_path / "photos")
    bytes_of_three = sum(40 * (40 + number) * 3 for number in range(3))
    store = build(tmp_path, photos, limit=bytes_of_three)
    assert len(store) == 3
    assert sum(path.stat().st_size for path in store.folder.glob("*.pixels")) == bytes_of_three
    assert all(store.open(p).tobytes() == open_photo(p).tobytes() for p in photos)
    assert len(build(tmp_path / "none", photos, limit=0)) == 0


def test_a_changed_photo_is_decoded_again(tmp_path: Path) -> None:
    photos = some_photos(tmp_path / "photos")
    build(tmp_path, photos)
    Image.new("RGB", (50, 50), (1, 2, 3)).save(photos[2])
    store = build(tmp_path, photos)
    assert store.decoded == 1
    assert store.open(photos[2]).getpixel((0, 0)) == (1, 2, 3)
    assert store.open(photos[1]).tobytes() == open_photo(photos[1]).tobytes()


def test_another_way_to_decode_is_another_store(tmp_path: Path) -> None:
    photos = some_photos(tmp_path / "photos")
    one, other = build(tmp_path, photos), build(tmp_path, photos, target=20)
    assert other.decoded == 6
    assert one.folder != other.folder
    one.remove()
    assert not one.folder.exists() and other.folder.exists()


def test_parts_of_photos_that_are_not_wanted_any_more_make_room(tmp_path: Path) -> None:
    photos = some_photos(tmp_path / "photos")
    build(tmp_path, photos[:3])
    store = build(tmp_path, photos[3:])
    assert len(list(store.folder.glob("*.pixels"))) == 1
