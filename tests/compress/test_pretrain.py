"""The text tower learns from captions whose photos are not here."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from retrieval.compress.data.groups import CaptionGroups
from retrieval.compress.embed import embed_ids
from retrieval.compress.recipe import Recipe
from retrieval.compress.runner import run_recipe, stage_metrics
from retrieval.compress.stages.pretrain import PretrainTask
from retrieval.compress.stages.settings import Pretrain
from retrieval.language.training import train_vocabulary
from retrieval.models.checkpoint import Checkpoint, load_checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.errors import CorpusError
from retrieval.spec.model import ModelConfig
from tests.compress.small_runs import SIZE, TEXT, VIT, recipe, write_data

# No word of one list stands in the other.
THINGS = ["dog", "boat", "tree", "horse", "child", "kite", "train", "lamp"]
SAME = ["hound", "ship", "oak", "pony", "kid", "glider", "engine", "lantern"]
PLACES = {"in a field": "on grass", "by the sea": "at the shore", "at night": "after dark"}
GROUPS = [
    [f"a {thing} {place}", f"the {same} {there}", f"one {same} {place}"]
    for thing, same in zip(THINGS, SAME, strict=True)
    for place, there in PLACES.items()
]
STAGE = {
    "stage": "pretrain",
    "training": {"epochs": 30, "batch_size": 12, "learning_rate": 3e-3},
}


def write_groups(path: Path) -> Path:
    path.write_text("".join(json.dumps({"captions": one}) + "\n" for one in GROUPS), "utf-8")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("pretrain")
    captions = write_groups(folder / "captions.jsonl")
    sentences = folder / "sentences.txt"
    sentences.write_text("\n".join(text for group in GROUPS for text in group), "utf-8")
    data = {**write_data(folder), "sentences": sentences}
    first = {**STAGE, "training": {**STAGE["training"], "epochs": 1, "learning_rate": 1e-9}}
    more = {"captions": [str(captions)]}
    # Without dev the last weights are kept, whatever they do for photos.
    return recipe(data, [first, STAGE], use=("pairs", "sentences"), data=more)


@pytest.fixture(scope="module")
def run(made: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "small"
    run_recipe(made, folder)
    return folder


def right(checkpoint: Checkpoint) -> float:
    """Share of the first captions to which the second one of the same group is nearest."""
    first, second = (
        embed_ids(checkpoint.model.eval(), checkpoint.tokenizer.batch([one[n] for one in GROUPS]))
        for n in (0, 1)
    )
    nearest = (first @ second.T).argmax(dim=1)
    return float((nearest == torch.arange(len(GROUPS))).float().mean())


def test_captions_of_the_same_photo_find_each_other(run: Path) -> None:
    before, after = (load_checkpoint(run / name) for name in ("1-pretrain-text", "student"))
    assert right(before) < 0.4
    assert right(after) > 0.8


def test_the_image_tower_stays_as_it_is(run: Path) -> None:
    before, after = (load_checkpoint(run / name) for name in ("1-pretrain-text", "student"))
    for name, tensor in before.model.image.state_dict().items():
        assert torch.equal(tensor, after.model.image.state_dict()[name]), name


def test_recall_of_photos_chooses_the_best_epoch(tmp_path: Path) -> None:
    captions = write_groups(tmp_path / "captions.jsonl")
    short = {**STAGE, "training": {**STAGE["training"], "epochs": 2}}
    one = recipe(write_data(tmp_path), [short], data={"captions": [str(captions)]})
    run_recipe(one, tmp_path / "run")
    [metrics] = stage_metrics(one, tmp_path / "run")
    log = [json.loads(line) for line in (tmp_path / "run" / "student" / "log.jsonl").open()]
    scores = [entry["dev"]["score"] for entry in log if "dev" in entry]
    assert len(scores) == 3
    assert metrics["best_epoch"]["score"] == max(scores)


def task(**settings: Any) -> PretrainTask:
    torch.manual_seed(0)
    texts = [text for group in GROUPS for text in group]
    tokenizer = train_vocabulary(texts, size=600, context_length=24)
    config = ModelConfig.model_validate(
        {
            "name": "small", "embedding_dim": 16, "image": VIT, "text": TEXT,
            "preprocessing": {"size": SIZE}, "tokens": tokenizer.spec,
        }
    )  # fmt: skip
    owner = torch.arange(len(GROUPS)).repeat_interleave(3).numpy()
    stage = Pretrain.model_validate({**STAGE, **settings})
    groups = CaptionGroups(tokenizer.batch(texts), owner)
    return PretrainTask(stage, DualEncoder(config), tokenizer, groups, dict, seed=0)


@pytest.mark.parametrize(("captions", "drawn"), [(2, 2), (3, 3), (5, 3)])
def test_as_many_captions_of_a_group_are_drawn_as_it_has(captions: int, drawn: int) -> None:
    batches = list(task(captions_per_photo=captions).batches(0, 0))
    assert len(batches) == len(GROUPS) // 12
    for batch in batches:
        assert batch["owner"].bincount().tolist() == [drawn] * 12


def test_a_resumed_epoch_goes_on_with_the_same_batches() -> None:
    whole, rest = (list(task().batches(3, first)) for first in (0, 1))
    assert torch.equal(whole[1]["ids"], rest[0]["ids"])
    assert not torch.equal(whole[1]["ids"], next(task().batches(4, 1))["ids"])


def test_the_loss_does_not_count_siblings_as_wrong() -> None:
    """With all captions of a group alike and no two groups alike, nothing is left to learn."""
    one = task(captions_per_photo=3, temperature=0.01)
    batch = next(one.batches(0, 0))
    first_of_owner = (batch["owner"].unsqueeze(0) == batch["owner"].unsqueeze(1)).int().argmax(1)
    alike = batch["ids"][first_of_owner]
    torch.manual_seed(0)
    torch.nn.init.normal_(one.model.text.token_embedding.weight, std=1.0)
    apart = one({"ids": alike, "owner": batch["owner"]})["pairs"]
    mixed = one({"ids": alike.roll(1, 0), "owner": batch["owner"]})["pairs"]
    assert apart < 0.5 * mixed


def test_captions_that_describe_nothing_twice_are_refused(tmp_path: Path) -> None:
    alone = tmp_path / "alone.jsonl"
    alone.write_text('{"captions": ["a dog"]}\n', "utf-8")
    data = write_data(tmp_path)
    wrong = recipe(data, [STAGE], data={"captions": [str(alone)]})
    with pytest.raises(CorpusError, match=r"alone\.jsonl: no line has two captions"):
        run_recipe(wrong, tmp_path / "run")
