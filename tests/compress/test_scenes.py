"""Captioned scenes: deterministic, distinct, and captioned with the truth."""

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from retrieval.compress.scenes import captions, write_scenes
from retrieval.compress.scenes.compose import Placed, arrange, render
from retrieval.compress.scenes.scene import COLOURS, NOUNS, SHARDS, Group, Scene, draw_scene
from retrieval.compress.scenes.sprites import sprite
from retrieval.compress.scenes.write import draw_scenes
from retrieval.spec.errors import CorpusError

NUMBERS = {"a": 1, "an": 1, "two": 2, "three": 3, "four": 4}
SYNONYMS = {"mug": "cup", "box": "square", "disc": "circle"}
SEEDS = st.integers(0, 10_000)


def read(pairs: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in pairs.read_text("utf-8").splitlines()]


def groups_in(caption: str) -> set[tuple[int, str, str]]:
    """Count, colour and noun of every noun phrase, read back with no help of the grammar."""
    number = "|".join(NUMBERS)
    colour = "|".join(COLOURS)
    phrase = rf"\b({number}) (?:\w+ )?({colour}) ((?:\w+ )?\w+)"
    found = set()
    for count, shade, words in re.findall(phrase, caption.lower()):
        nouns = [_singular(word) for word in words.split()]
        known = [SYNONYMS.get(noun, noun) for noun in nouns]
        noun = next(noun for noun in reversed(known) if noun in NOUNS)
        found.add((NUMBERS[count], shade, noun))
    return found


def _singular(word: str) -> str:
    if word.endswith("xes"):
        return word[:-2]
    return word.removesuffix("s")


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_captions_name_every_group_and_nothing_else(seed: int) -> None:
    rng = random.Random(seed)
    scene = draw_scene(rng)
    expected = {(group.count, group.colour, group.noun) for group in scene.groups}
    sentences = captions(scene, rng, 5)
    assert len({sentence.rstrip(".").lower() for sentence in sentences}) == 5
    for sentence in sentences:
        assert groups_in(sentence) == expected, sentence


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_sizes_are_told_of_the_right_group(seed: int) -> None:
    rng = random.Random(seed)
    scene = draw_scene(rng)
    words = {"small": "small|little|tiny", "big": "big|large", "plain": "tall|round"}
    for sentence in captions(scene, rng, 3):
        for group in scene.groups:
            before = re.search(rf"(\w+) {group.colour} ", sentence.lower())
            assert before
            told = re.fullmatch(words[group.size], before[1])
            assert told or (group.size == "plain" and before[1] in NUMBERS), sentence


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_relations_hold_in_the_picture(seed: int) -> None:
    rng = random.Random(seed)
    scene = draw_scene(rng)
    placed = arrange(scene, rng)
    by_group = [[thing for thing in placed if thing.group is group] for group in scene.groups]
    assert [len(things) for things in by_group] == [group.count for group in scene.groups]
    assert all(_inside_the_picture(thing) for thing in placed)
    if scene.arrangement in {"beside", "between"}:
        for left, right in zip(by_group, by_group[1:], strict=False):
            assert max(thing.x for thing in left) < min(thing.x for thing in right)
    elif scene.arrangement == "stacked":
        assert max(thing.y for thing in by_group[0]) < min(thing.y for thing in by_group[1])
    elif scene.arrangement == "inside":
        (outer,) = by_group[1]
        for thing in by_group[0]:
            assert abs(thing.x - outer.x) + thing.side / 2 < outer.side / 2
            assert abs(thing.y - outer.y) + thing.side / 2 < outer.side / 2
    elif scene.place == "middle":
        assert all(0.25 < thing.x < 0.75 and 0.25 < thing.y < 0.75 for thing in placed)
    else:
        assert all((thing.x < 0.5) == ("left" in scene.place) for thing in placed)
        assert all((thing.y < 0.5) == ("top" in scene.place) for thing in placed)


def _inside_the_picture(thing: Placed) -> bool:
    half = thing.side / 2 - 1e-9
    return half <= thing.x <= 1 - half and half <= thing.y <= 1 - half


@settings(max_examples=100, deadline=None)
@given(SEEDS)
@example(seed=140)
def test_things_of_a_group_do_not_cover_each_other(seed: int) -> None:
    rng = random.Random(seed)
    scene = draw_scene(rng)
    placed = arrange(scene, rng)
    for index, one in enumerate(placed):
        for other in placed[index + 1 :]:
            if scene.arrangement == "inside" and one.group is not other.group:
                continue
            apart = max(abs(one.x - other.x), abs(one.y - other.y))
            assert apart >= (one.side + other.side) / 2 * 0.99


@pytest.mark.parametrize("noun", NOUNS)
def test_each_thing_has_its_colour_and_stays_in_its_square(noun: str) -> None:
    red, green, blue, alpha = np.asarray(sprite(noun, "red", 0)).astype(int).transpose(2, 0, 1)
    opaque = alpha > 250
    assert 0.04 < opaque.mean() < 0.8
    assert alpha[0].max() < 60
    assert alpha[:, 0].max() < 60
    reddish = opaque & (red > green + 60) & (red > blue + 60)
    assert reddish.sum() > 0.3 * opaque.sum()


def test_the_picture_shows_the_colours_of_the_caption() -> None:
    scene = Scene("beside", (Group("square", "red"), Group("circle", "blue", 2)))
    grey = Image.new("RGB", (160, 160), (128, 128, 128))
    pixels = np.asarray(render(scene, grey, random.Random(3))).astype(int)
    red = (pixels[..., 0] > pixels[..., 2] + 80).nonzero()[1]
    blue = (pixels[..., 2] > pixels[..., 0] + 80).nonzero()[1]
    assert len(red) > 300
    assert len(blue) > 600
    assert red.max() < blue.min()


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first = write_scenes(tmp_path / "a", count=6, seed=5, size=64)
    second = write_scenes(tmp_path / "b", count=6, seed=5, size=64)
    longer = write_scenes(tmp_path / "c", count=9, seed=5, size=64)
    assert first.read_bytes() == second.read_bytes()
    assert longer.read_text("utf-8").startswith(first.read_text("utf-8"))
    for number in range(6):
        name = f"images/{number:06d}.jpg"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_layout_is_that_of_a_pairs_file(tmp_path: Path) -> None:
    seen = []
    pairs = write_scenes(
        tmp_path / "set", count=5, seed=0, size=48, captions=2, progress=lambda: seen.append(1)
    )
    rows = read(pairs)
    assert len(rows) == len(seen) == 5
    for row in rows:
        assert set(row) == {"image", "captions"}
        assert len(set(row["captions"])) == 2
        with Image.open(pairs.parent / str(row["image"])) as photo:
            assert photo.size == (48, 48)
            assert photo.format == "JPEG"


def test_scenes_of_a_set_differ_and_seeds_share_none() -> None:
    train, dev = list(draw_scenes(2000, 0)), list(draw_scenes(2000, 1))
    assert len(set(train)) == len(set(dev)) == 2000
    assert not set(train) & set(dev)
    assert {scene.shard for scene in train} == {0}
    assert len({scene.shard for seed in range(SHARDS) for scene in draw_scenes(3, seed)}) == SHARDS


def test_captions_tell_scenes_apart() -> None:
    """Exact retrieval must be possible, else recall among scenes means little."""
    rng = random.Random(0)
    described = []
    for scene in draw_scenes(400, 2):
        first = captions(scene, rng, 1)[0]
        described.append(first.lower().rstrip("."))
    assert len(set(described)) >= 398


def test_backgrounds_come_from_the_photos(tmp_path: Path) -> None:
    photo = tmp_path / "green.png"
    Image.new("RGB", (300, 200), (0, 160, 0)).save(photo)
    pairs = write_scenes(tmp_path / "set", count=4, seed=0, size=64, backgrounds=[photo])
    for row in read(pairs):
        with Image.open(pairs.parent / str(row["image"])) as scene:
            green = np.asarray(scene).astype(int)
        rest = (green[..., 1] > green[..., 0] + 60) & (green[..., 1] > green[..., 2] + 60)
        assert rest.mean() > 0.3


@pytest.mark.parametrize(
    "name", ["cmyk", "sixteen_bit", "palette_transparent", "exif_rotated", "extreme_aspect"]
)
def test_awkward_photos_make_backgrounds(
    tmp_path: Path, awkward_photos: dict[str, Path], name: str
) -> None:
    photos = [awkward_photos[name]]
    assert len(read(write_scenes(tmp_path / "set", count=2, seed=0, backgrounds=photos))) == 2


@pytest.mark.parametrize("name", ["truncated", "zero_byte", "text", "bomb"])
def test_a_bad_background_is_named_and_nothing_is_left(
    tmp_path: Path, awkward_photos: dict[str, Path], name: str
) -> None:
    path = awkward_photos[name]
    with pytest.raises(CorpusError, match=re.escape(str(path))):
        write_scenes(tmp_path / "set", count=2, seed=0, backgrounds=[path])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_background_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="nowhere.jpg cannot be read"):
        write_scenes(tmp_path / "set", count=1, seed=0, backgrounds=[tmp_path / "nowhere.jpg"])


@pytest.mark.parametrize(
    ("change", "word"),
    [({"count": 0}, "count"), ({"size": 8}, "size"), ({"captions": 9}, "captions")],
)
def test_arguments_out_of_range_are_refused(
    tmp_path: Path, change: dict[str, int], word: str
) -> None:
    arguments = {"count": 1, "seed": 0, "size": 64, "captions": 1} | change
    with pytest.raises(CorpusError, match=word):
        write_scenes(tmp_path / "set", **arguments)


def test_a_finished_set_is_kept_and_anything_else_refused(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    pairs = write_scenes(folder, count=3, seed=0, size=48)
    written = pairs.stat().st_mtime_ns
    assert write_scenes(folder, count=3, seed=0, size=48) == pairs
    assert pairs.stat().st_mtime_ns == written
    with pytest.raises(CorpusError, match="not empty"):
        write_scenes(folder, count=4, seed=0, size=48)
    other = tmp_path / "holiday"
    other.mkdir()
    (other / "letter.txt").write_text("dear all")
    with pytest.raises(CorpusError, match="not empty"):
        write_scenes(other, count=3, seed=0, size=48)
    assert (other / "letter.txt").read_text() == "dear all"


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path / "set", count=3, seed=0, size=48, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def leanclip(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "retrieval.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_prints_json_alone_and_refuses_in_one_line(tmp_path: Path) -> None:
    out = tmp_path / "set"
    done = leanclip("scenes", out, "--count", 4, "--size", 48, "--captions", 2, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "pairs": str(out / "pairs.jsonl"),
        "scenes": 4,
        "captions": 8,
    }
    refused = leanclip("scenes", out, "--count", 5, "--size", 48)
    assert refused.returncode == 1
    assert refused.stderr.strip().splitlines()[-1].startswith(f"leanclip: {out} is not empty")
    assert "Traceback" not in refused.stderr
