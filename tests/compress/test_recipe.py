from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from retrieval.compress.recipe import load_recipe, make_recipe
from retrieval.spec.errors import RecipeError

Value = dict[str, Any]

RECIPES = Path(__file__).parents[2] / "data/recipes"
HARD = {"pairs": 1, "affinity": 1, "hard_negatives": 1}


def whole() -> Value:
    return {
        "name": "r",
        "teacher": "teachers/one",
        "student": {
            "name": "s",
            "embedding_dim": 16,
            "image": {"kind": "vit", "patch": 8, "blocks": {"width": 32, "layers": 1}},
            "text": {"blocks": {"width": 32, "layers": 1}},
            "preprocessing": {"size": 32},
            "start": {},
        },
        "data": {
            "photos": ["photos"],
            "sentences": ["../a.txt"],
            "pairs": ["p.jsonl"],
            "dev": "d.jsonl",
        },
        "stages": [
            {"stage": "distil", "tower": "image", "training": {}},
            {"stage": "finetune", "towers": ["image"], "losses": HARD, "training": {}},
        ],
    }  # fmt: skip


def complaint(change: Callable[[Value], object]) -> str:
    value = whole()
    change(value)
    with pytest.raises(RecipeError) as caught:
        make_recipe(value, origin="r.yaml", base=Path("/base"))
    said = str(caught.value)
    assert said.startswith("r.yaml: ")
    assert "\n" not in said
    return said.removeprefix("r.yaml: ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v["stages"][1].update(temperatur=1),
         "stages.1.temperatur: there is no such entry; did you mean temperature?"),
        (lambda v: v["stages"][1].update(regression=1),
         "stages.1.regression: there is no such entry; there are "),
        (lambda v: v["stages"][0]["training"].update(epoch=3),
         "stages.0.training.epoch: there is no such entry; did you mean epochs?"),
        (lambda v: v["student"]["image"].update(pach=3),
         "student.image.pach: there is no such entry; did you mean patch?"),
        (lambda v: v["student"]["image"].update(kind="vitt"),
         "student.image: 'kind' must be one of 'timm', 'vit', 'attention_pooled', 'open_clip', "
         "not 'vitt'"),
        (lambda v: v["stages"][0].pop("stage"), "stages.0: needs an entry 'stage'"),
        (lambda v: v["student"].pop("name"), "student.name: is missing"),
        (lambda v: v["stages"][0]["training"].update(epochs="many"),
         "stages.0.training.epochs: input should be a valid integer, not 'many'"),
        (lambda v: v["student"].update(vocabulary={"size": "klip"}),
         "student.vocabulary.size: input should be a valid integer, not 'klip' or input should"),
        (lambda v: v["student"]["text"]["blocks"].update(layers="three"),
         "student.text.blocks: layers, width and head_dim must be whole numbers"),
        (lambda v: v["student"].update(embedding_dim=12),
         "student.embedding_dim: input should be a multiple of 8, not 12"),
        (lambda v: v["data"].update(photos="photos"),
         "data.photos: input should be a valid list, not 'photos'"),
        (lambda v: v.update(stages=[]), "stages: is empty"),
        (lambda v: v.pop("teacher"), "stages.0.losses.contrastive needs a teacher"),
        (lambda v: (v.pop("teacher"), v["stages"].pop(0)),
         "stages.0.losses.affinity needs a teacher; name one or leave it out"),
        (lambda v: v["data"].update(photos=[], pairs=[]),
         "stages.0: distil of the image tower needs data.photos or data.pairs"),
        (lambda v: v["data"].update(pairs=[]), "stages.1: finetune needs data.pairs"),
        (lambda v: v["stages"].insert(0, {"stage": "pretrain"}),
         "stages.0: pretrain needs data.captions"),
        (lambda v: v["stages"].insert(0, {"stage": "pretrain", "losses": {"affinity": 1}}),
         "stages.0: losses.affinity needs photos or a teacher, which stage pretrain does not use"),
        (lambda v: v["stages"][1].update(towers=["image", "text"]),
         "stages.1: losses.hard_negatives needs one tower frozen"),
        (lambda v: v["stages"][1].update(towers=["image", "image"]), "stages.1: towers must be"),
        (lambda v: v["stages"][0].update(losses={"contrastive": 0}),
         "stages.0.losses: every loss has weight 0"),
        (lambda v: v["stages"][1].update(prune={"budget": {"sparsity": 0.5}, "towers": "text"}),
         "stages.1: prune.towers names text, which the stage does not train"),
        (lambda v: (v["data"].pop("dev"), v["stages"][1].update(
            prune={"budget": {"sparsity": 0.5}, "importance": "ablation"})),
         "stages.1.prune.importance: ablation needs data.dev"),
        (lambda v: v["stages"][1].update(prune={"budget": {"sparsity": 0.5}}, quantise={}),
         "stages.1: prune and quantise cannot share a stage"),
        (lambda v: v["stages"].append({"stage": "factorise", "towers": ["text"]}),
         "stages.2: give rank, energy or embedding_rank"),
        (lambda v: v["stages"][1].update(losses={"pears": 1}),
         "stages.1.losses.pears: there is no such entry; did you mean pairs?"),
        (lambda v: (v["data"].pop("dev"), v["stages"][1]["training"].update(patience=1)),
         "stages.1.training.patience needs data.dev"),
        (lambda v: v["stages"][0]["training"].update(augmentation={"size": 24}),
         "stages.0.training.augmentation.size: a vit tower has one size"),
        (lambda v: v["student"].update(start={"canonical_correlation": {}}),
         "student.start.canonical_correlation inverts a matrix of all tokens; set "
         "student.vocabulary.size to at most 16384, not clip"),
        (lambda v: v["student"].update(start={"checkpoint": "x", "canonical_correlation": {}}),
         "student.start: checkpoint already sets every weight"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_named_in_one_line(change: Callable[[Value], object], said: str) -> None:
    assert complaint(change).startswith(said)


def test_further_errors_are_counted() -> None:
    said = complaint(lambda v: (v["student"].update(zzz=1), v["data"].update(yyy=1)))
    assert said.startswith("student.zzz: there is no such entry")
    assert said.endswith("(and 1 more)")


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_what_is_no_recipe_at_all(value: object) -> None:
    with pytest.raises(RecipeError, match=r"r.yaml: should hold entries \(name, seed, teacher"):
        make_recipe(value, origin="r.yaml", base=Path())


def test_a_missing_binary_or_broken_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot read recipe .*none.yaml"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot read recipe .*binary.yaml"):
        load_recipe(tmp_path / "binary.yaml")
    (tmp_path / "broken.yaml").write_text("name: [1\nseed: 2")
    with pytest.raises(RecipeError, match="broken.yaml is not YAML") as caught:
        load_recipe(tmp_path / "broken.yaml")
    assert "\n" not in str(caught.value)


def test_relative_paths_count_from_the_recipe(tmp_path: Path) -> None:
    value = whole()
    value["student"]["start"] = {"checkpoint": "start"}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(value))
    found = load_recipe(tmp_path / "r.yaml")
    assert found.data.photos == (tmp_path / "photos",)
    assert found.data.sentences == (tmp_path / "../a.txt",)
    assert found.data.dev == tmp_path / "d.jsonl"
    assert found.student.start.checkpoint == tmp_path / "start"
    assert found.teachers == (str(tmp_path / "teachers/one"),)
    assert found.as_written == (tmp_path / "r.yaml").read_text()


@pytest.mark.parametrize("teacher", ["default", "open_clip:ViT-B-32/openai", "/models/teacher"])
def test_teachers_that_are_no_relative_path_stay(teacher: str) -> None:
    assert make_recipe(whole() | {"teacher": teacher}, origin="", base=Path("/b")).teachers == (
        teacher,
    )


def test_the_hash_is_of_the_content_and_not_of_the_place() -> None:
    one = make_recipe(whole(), origin="", base=Path("/one"))
    other = make_recipe(whole(), origin="", base=Path("/other"))
    assert one.sha256 == other.sha256
    assert one.sha256 != make_recipe(whole() | {"seed": 1}, origin="", base=Path("/one")).sha256


def test_a_misspelt_entry_is_named_before_the_one_it_leaves_missing(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: x\nstudnet: {}\n")
    with pytest.raises(RecipeError, match="studnet: there is no such entry; did you mean student"):
        load_recipe(path)


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_another_seed_changes_nothing_else(path: Path) -> None:
    recipe, other = load_recipe(path), load_recipe(path, seed=7)
    assert (other.name, other.seed) == (f"{recipe.name}-seed7", 7)
    assert other.data == recipe.data
    assert other.validated == recipe.validated | {"name": other.name, "seed": 7}
    assert yaml.safe_load(other.as_written)["seed"] == 7
