"""Photos in shards: parts of processes, the middle of an epoch, and the same run as from files."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import webdataset
from PIL import Image

from retrieval.compress.data.inputs import PhotoInputs
from retrieval.compress.distributed import gather
from retrieval.compress.loop.settings import Training
from retrieval.compress.runner import run_recipe
from retrieval.corpora.pairs import read_pairs
from retrieval.corpora.photos import find_photos
from retrieval.models.checkpoint import load_checkpoint
from tests.compress.small_runs import recipe, write_data, write_teacher

PHOTOS, BATCH = 22, 4


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> PhotoInputs:
    """Photos in two shards, each of a grey of its own."""
    folder = tmp_path_factory.mktemp("shards")
    for shard in range(2):
        with webdataset.TarWriter(str(folder / f"{shard}.tar")) as writer:
            for number in range(shard, PHOTOS, 2):
                packed = io.BytesIO()
                Image.new("L", (40, 40), 10 * number).convert("RGB").save(packed, "PNG")
                writer.write({"__key__": f"{number:02}", "png": packed.getvalue()})
    model = load_checkpoint(write_teacher(folder / "teacher")).model
    training = Training(batch_size=BATCH, loader_workers=0)
    return PhotoInputs(find_photos(folder / "{0..1}.tar"), model, training, seed=5)


def shown(
    inputs: PhotoInputs, monkeypatch: pytest.MonkeyPatch, *, rank: int, world: int, first: int = 0
) -> list[list[int]]:
    """Which photos a process loads, batch by batch, told from their pixels."""
    monkeypatch.setattr(gather, "rank", lambda: rank)
    monkeypatch.setattr(gather, "world_size", lambda: world)
    pixels = [batch for _, batch in inputs.batches(1, first)]
    return [[round(float(one.float().mean()) / 10) for one in batch] for batch in pixels]


def test_processes_see_disjoint_photos_which_together_are_the_epoch(
    inputs: PhotoInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [shown(inputs, monkeypatch, rank=rank, world=2) for rank in range(2)]
    whole = shown(inputs, monkeypatch, rank=0, world=1)
    assert [left + right for left, right in zip(*parts, strict=True)] == whole
    seen = [photo for batch in whole for photo in batch]
    assert len(seen) == len(set(seen)) == PHOTOS // BATCH * BATCH
    assert {photo % 2 for photo in seen} == {0, 1}


def test_a_resumed_epoch_goes_on_with_exactly_the_rest(
    inputs: PhotoInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = shown(inputs, monkeypatch, rank=1, world=2)
    assert len(whole) == 5
    assert shown(inputs, monkeypatch, rank=1, world=2, first=3) == whole[3:]


def test_a_run_on_shards_follows_the_losses_of_a_run_on_files(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", count=16)
    pairs = read_pairs(data["pairs"])
    for shard in range(2):
        with webdataset.TarWriter(str(tmp_path / f"pairs-{shard}.tar")) as writer:
            for number, pair in list(enumerate(pairs))[8 * shard : 8 * shard + 8]:
                content = pair.image.read_bytes()
                captions = {"captions": list(pair.captions)}
                suffix = pair.image.suffix.removeprefix(".")
                writer.write({"__key__": f"{number:03}", suffix: content, "json": captions})
    stage = {"stage": "finetune", "towers": ["image"], "losses": {"pairs": 1, "affinity": 1}}
    teacher = write_teacher(tmp_path / "teacher")
    sharded = {**data, "pairs": tmp_path / "pairs-{0..1}.tar"}
    for name, named in {"files": data, "shards": sharded}.items():
        run_recipe(recipe(named, [stage], teacher=teacher), tmp_path / "runs" / name)
    assert _losses(tmp_path / "runs" / "shards") == _losses(tmp_path / "runs" / "files")


def _losses(run: Path) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in (run / "student" / "log.jsonl").open()]
    assert sum("loss" in entry for entry in entries) == 4
    for entry in entries:
        entry.pop("seconds", None)
    return entries


def test_one_process_has_the_whole_batch() -> None:
    assert torch.equal(torch.arange(7)[gather.own_part(7)], torch.arange(7))
