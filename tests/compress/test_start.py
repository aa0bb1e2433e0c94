"""Starts as a recipe names them: what is refused, and what becomes of the student."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

import retrieval.models.open_clip
from retrieval.compress.loop.optimiser import make_optimiser
from retrieval.compress.loop.settings import Training
from retrieval.compress.recipe import make_recipe
from retrieval.compress.runner import run_recipe
from retrieval.compress.start.frozen import freeze
from retrieval.compress.start.settings import Start, Student
from retrieval.compress.start.sources import Sources
from retrieval.compress.student import make_student
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.checkpoint import load_checkpoint, save_checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.open_clip import load_open_clip
from retrieval.spec.errors import RecipeError
from retrieval.spec.model import ModelConfig
from tests.compress.small_runs import recipe as small_recipe
from tests.compress.small_runs import student as small_student
from tests.compress.small_runs import write_data, write_teacher

Value = dict[str, Any]
VIT = {
    "kind": "vit",
    "patch": 16,
    "blocks": {"width": 32, "head_dim": 16, "layers": 2, "neurons": 64},
}
TIMM = {"kind": "timm", "backbones": [{"name": "test_resnet"}]}
BLOCKS = {"width": 32, "head_dim": 16, "layers": 2, "neurons": 64}
SENTENCES = ["two dogs on the pavement", "a red star above a blue fish", "two red fish"] * 4
SENTENCES += [f"number {number} of many dogs" for number in range(20)]


def student(**changes: Any) -> Value:
    return {
        "name": "s",
        "embedding_dim": 16,
        "image": VIT,
        "text": {"blocks": {**BLOCKS, "layers": 1}},
        "preprocessing": {"size": 32},
        "vocabulary": {"from": "teacher", "size": "used", "context_length": 16},
        **changes,
    }


def recipe(folder: Path, *, teacher: str | None, **changes: Any) -> Any:
    sentences = folder / "sentences.txt"
    sentences.write_text("\n".join(SENTENCES), "utf-8")
    value = {
        "name": "r",
        "seed": 3,
        "teacher": teacher,
        "student": student(**changes),
        "data": {"sentences": [str(sentences)]},
        "stages": [{"stage": "distil", "tower": "text", "training": {}}],
    }
    if teacher is None:
        value["data"]["pairs"] = ["pairs.jsonl"]
        value["stages"] = [{"stage": "finetune", "towers": ["text"], "training": {}}]
        value["stages"][0]["losses"] = {"pairs": 1}
    return make_recipe(value, origin="r.yaml", base=Path("/"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    tokenizer = Tokenizer.clip(context_length=32)
    config = ModelConfig.model_validate(
        {
            "name": "teacher",
            "embedding_dim": 24,
            "image": VIT,
            "text": {"blocks": BLOCKS},
            "preprocessing": {"size": 32},
            "tokens": tokenizer.spec,
        }
    )
    folder = tmp_path_factory.mktemp("teacher") / "checkpoint"
    save_checkpoint(folder, DualEncoder(config), tokenizer)
    return folder


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ({"checkpoint": "x", "text_layers": {}}, "checkpoint already sets every weight"),
        ({"checkpoint": "x", "image_layers": {}}, "checkpoint already sets every weight"),
        ({"checkpoint": "x", "image_weights": ["timm:y"]}, "checkpoint already sets"),
        ({"canonical_correlation": {}, "text_layers": {}}, "both set the token embedding"),
        ({"freeze_token_embedding": True}, "needs text_layers or checkpoint to copy it from"),
        ({"text_layers": {"pick": [2, 1]}}, r"each layer once, in order, not \[2, 1\]"),
        ({"text_layers": {"pick": [1, 1]}}, r"each layer once, in order, not \[1, 1\]"),
        ({"text_layers": {"pick": [0]}}, "greater than or equal to 1"),
        ({"text_layers": {"pick": []}}, "at least 1 item"),
        ({"text_layers": {"source": "teacher"}}, "Extra inputs"),
    ],
)
def test_starts_that_conflict_are_refused(start: Value, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Start.model_validate(start)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image": TIMM, "start": {"image_layers": {}}}, "image_layers needs .* of kind vit"),
        ({"start": {"image_weights": ["timm:x"]}}, "image_weights needs .* of kind timm"),
        ({"start": {"checkpoint": "x"}}, "checkpoint brings its vocabulary"),
        ({"vocabulary": {"size": "used"}}, "size: used needs from"),
        ({"vocabulary": {"size": "whole"}}, "size: whole needs from"),
        ({"vocabulary": {"from": "teacher"}}, "from needs a size: whole, used, or a number"),
        ({"vocabulary": {"from": "teacher", "size": 600}}, "greater than or equal to 1024"),
    ],
)
def test_starts_that_do_not_suit_the_student_are_refused(changes: Value, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Student.model_validate(student(**changes))


def test_paths_count_from_the_recipe_and_names_stay() -> None:
    given = Student.model_validate(
        student(
            image=TIMM,
            vocabulary={"from": "../v", "size": "used"},
            start={"image_weights": ["timm:x", "w.pth"], "text_layers": {"from": "t"}},
        )
    )
    found = given.located(Path("/base"))
    assert found.vocabulary.source == "/base/../v"
    assert found.start.image_weights == ("timm:x", "/base/w.pth")
    assert found.start.text_layers is not None
    assert found.start.text_layers.source == "/base/t"
    assert found.start.image_layers is None
    start = Start.model_validate({"checkpoint": "c"}).located(Path("/base"))
    assert start.checkpoint == Path("/base/c")
    layers = {"text_layers": {}, "image_layers": {"from": "open_clip:ViT-B-32/openai"}}
    start = Start.model_validate(layers).located(Path("/base"))
    assert start.text_layers is not None
    assert start.image_layers is not None
    assert (start.text_layers.source, start.image_layers.source) == (
        "teacher",
        "open_clip:ViT-B-32/openai",
    )


def test_a_recipe_is_written_as_it_is_read() -> None:
    given = Student.model_validate(student(start={"text_layers": {"from": "x", "pick": [1]}}))
    written = given.model_dump(mode="json")
    assert written["vocabulary"]["from"] == "teacher"
    assert Student.model_validate(written) == given


def test_a_misspelt_entry_is_told_the_recipes_own_word(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"layers\.form: there is no such entry; did you mean from"
    ):
        recipe(tmp_path, teacher="x", start={"text_layers": {"form": "teacher"}})


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, True),
        ({"vocabulary": {"size": 1024}}, False),
        ({"vocabulary": {"size": 1024}, "start": {"image_layers": {}}}, True),
        ({"vocabulary": {"size": 1024}, "start": {"text_layers": {"from": "x"}}}, False),
    ],
)
def test_it_is_known_whether_the_teacher_is_needed(changes: Value, needed: bool) -> None:
    assert Student.model_validate(student(**changes)).needs_teacher == needed


def test_a_student_starts_from_its_teachers_layers_and_tokens(
    teacher: Path, tmp_path: Path
) -> None:
    start = {"text_layers": {"pick": "last"}, "image_layers": {}, "freeze_token_embedding": True}
    made = recipe(tmp_path, teacher=str(teacher), start=start, image=VIT)
    model, tokenizer = make_student(made)
    given = load_checkpoint(teacher)
    assert tokenizer.vocabulary_size < 1000
    for sentence in SENTENCES:
        own = [tokenizer.token(id) for id in tokenizer(sentence)]
        assert own == [given.tokenizer.token(id) for id in given.tokenizer(sentence)][:16]
    id = tokenizer("dogs")[1]
    row = given.model.text.token_embedding.weight[given.tokenizer("dogs")[1]]
    assert torch.equal(model.text.token_embedding.weight[id], row)
    up = model.text.blocks[0].up.weight
    assert torch.equal(up, given.model.text.blocks[1].up.weight)
    assert torch.equal(model.image.blocks[0].up.weight, given.model.image.blocks[0].up.weight)
    again, _ = make_student(made)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_a_narrower_student_keeps_its_teachers_most_important_units(
    teacher: Path, tmp_path: Path
) -> None:
    blocks = {"width": 16, "head_dim": 16, "layers": 1, "heads": 1, "neurons": 24}
    text = {"blocks": blocks, "embedding_rank": 8}
    made = recipe(tmp_path, teacher=str(teacher), start={"text_layers": {}}, text=text)
    model, _ = make_student(made)
    given = load_checkpoint(teacher).model.text.blocks[1].down.weight
    kept = model.text.blocks[0].down.weight
    assert kept.shape == (16, 24)
    # Every column is one of the teacher's, restricted to the same rows.
    values = {round(value, 6) for value in given.flatten().tolist()}
    assert all(round(value, 6) in values for value in kept.flatten().tolist())
    again, _ = make_student(made)
    assert torch.equal(again.text.blocks[0].down.weight, kept)


def test_a_whole_vocabulary_is_that_of_the_source(teacher: Path, tmp_path: Path) -> None:
    vocabulary = {"from": "teacher", "size": "whole", "context_length": 12}
    made = recipe(tmp_path, teacher=str(teacher), vocabulary=vocabulary)
    model, tokenizer = make_student(made)
    assert tokenizer.merges == Tokenizer.clip().merges
    assert model.text.context_length == tokenizer.context_length == 12


def test_the_most_frequent_tokens_are_at_most_as_many_as_asked(
    teacher: Path, tmp_path: Path
) -> None:
    vocabulary = {"from": "teacher", "size": 1024, "context_length": 12}
    _, tokenizer = make_student(recipe(tmp_path, teacher=str(teacher), vocabulary=vocabulary))
    assert tokenizer.vocabulary_size < 700


def test_layers_of_an_open_clip_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip

    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16,
                       "head_width": 16},
        "text_cfg": {"width": 32, "heads": 2, "layers": 3, "context_length": 20},
    }  # fmt: skip
    (tmp_path / "tiny-start.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "tiny-start.json")
    loaded = []

    def load(name: str, **_: bool) -> Any:
        torch.manual_seed(4)
        loaded.append(load_open_clip(name, random_weights=True))
        return loaded[-1]

    monkeypatch.setattr(retrieval.models.open_clip, "load_open_clip", functools.cache(load))
    text = {"blocks": {**BLOCKS, "layers": 2, "heads": [2, 1], "neurons": [128, 64]}}
    made = recipe(
        tmp_path,
        teacher="open_clip:tiny-start/random",
        start={"text_layers": {"pick": [1, 3], "samples": 8}},
        text=text,
    )
    model, tokenizer = make_student(made)
    assert len(loaded) == 1
    given = loaded[0].model.text
    assert torch.equal(model.text.blocks[0].up.weight, given.blocks[0].up.weight)
    assert torch.equal(model.text.blocks[1].mlp_norm.weight, given.blocks[2].mlp_norm.weight)
    assert torch.equal(model.text.projection.weight, given.projection.weight)
    assert torch.equal(model.text.position_embedding, given.position_embedding[:16])
    with pytest.raises(RecipeError, match="image tower is of kind open_clip"):
        start = {"image_layers": {}}
        make_student(recipe(tmp_path, teacher="open_clip:tiny-start/random", start=start))


def test_sources_that_hold_no_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"x\.from is teacher, and the recipe has none"):
        Sources(None).open("teacher", "x")
    for source in ("default", str(tmp_path)):
        with pytest.raises(RecipeError, match=r"x\.from: .* is no checkpoint folder"):
            Sources(source).open("teacher", "x")


def test_a_source_is_opened_once(teacher: Path) -> None:
    sources = Sources(str(teacher))
    assert sources.open("teacher", "x") is sources.open(str(teacher), "y")


def test_a_frozen_embedding_is_left_out_of_the_optimiser(teacher: Path, tmp_path: Path) -> None:
    start = {"text_layers": {}, "freeze_token_embedding": True}
    made = recipe(tmp_path, teacher=str(teacher), start=start)
    model, _ = make_student(made)
    assert made.student.frozen == ("text.token_embedding.",)
    task = torch.nn.Module()
    task.model = model
    freeze(task, made.student.frozen)
    still = {name for name, one in model.named_parameters() if not one.requires_grad}
    assert still == {"text.token_embedding.weight"}
    optimiser = make_optimiser(task, Training())
    trained = {id(one) for group in optimiser.param_groups for one in group["params"]}
    assert id(model.text.token_embedding.weight) not in trained
    assert id(model.text.position_embedding) in trained
    assert recipe(tmp_path, teacher=str(teacher)).student.frozen == ()
    model.requires_grad_(True)
    freeze(model, ())
    assert all(one.requires_grad for one in model.parameters())


def test_a_frozen_embedding_outlives_every_stage(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    teacher = write_teacher(tmp_path / "teacher")
    whole = small_student() | {
        "vocabulary": {"from": "teacher", "size": "used", "context_length": 24},
        "start": {"text_layers": {}, "freeze_token_embedding": True},
    }
    stages = [
        {"stage": "distil", "tower": "text"},
        {"stage": "finetune", "towers": ["text"], "losses": {"pairs": 1}},
    ]
    made = small_recipe(data, stages, teacher=teacher, student=whole, use=("pairs",))
    before, _ = make_student(made)
    after = load_checkpoint(run_recipe(made, tmp_path / "run")).model
    frozen = after.text.token_embedding.weight
    assert torch.equal(frozen, before.text.token_embedding.weight)
    assert not torch.equal(after.text.blocks[0].up.weight, before.text.blocks[0].up.weight)
