import json
from pathlib import Path

import pytest
import yaml

from retrieval.compress.recipe import load_recipe
from retrieval.compress.scenes import write_scenes
from retrieval.models.checkpoint import load_checkpoint, save_checkpoint
from tests.tiny import tiny_model, tiny_tokenizer

BLOCKS = {"width": 32, "head_dim": 8, "layers": 2, "heads": 4, "neurons": 64}
VIT = {"kind": "vit", "patch": 16, "blocks": BLOCKS}
QUICK = ("--target", "torch", "--measure", 8, "--population", 2, "--generations", 1, "--photos", 8)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write_scenes(tmp_path / "dev", count=8, seed=0, size=32)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    model = tiny_model(image=VIT, text={"blocks": BLOCKS})
    save_checkpoint(tmp_path / "whole", model, tiny_tokenizer())
    return tmp_path / "whole"


def test_a_student_a_plot_and_a_recipe_are_written(leanclip, checkpoint, pairs, tmp_path):
    out = tmp_path / "fit"
    command = ("fit", checkpoint, pairs, "--ms", 1000, "--out", out, *QUICK)
    status, printed, err = leanclip(*command)
    assert status == 0
    assert "no smaller models that were trained" in " ".join(err.split())
    assert "held out are off by" in printed
    assert "chosen" in printed
    names = ["image.json", "image.png", "recipe.yaml", "student", "text.json", "text.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert (out / "text.png").read_bytes()[:4] == b"\x89PNG"
    student = load_checkpoint(out / "student")
    assert student.metrics["fit"]["towers"].keys() == {"image", "text"}

    known = (out / "text.json").read_text()
    status, printed, _ = leanclip(*command, "--json")
    assert status == 0
    assert json.loads(printed)["towers"]["text"] == {
        **student.metrics["fit"]["towers"]["text"],
        "measured_ms": json.loads(printed)["towers"]["text"]["measured_ms"],
    }
    assert (out / "text.json").read_text() == known


def test_the_recipe_fine_tunes_the_student(leanclip, checkpoint, pairs, tmp_path):
    out = tmp_path / "fit"
    status, _, _ = leanclip(
        "fit", checkpoint, pairs, "--ms", 1000, "--tower", "text", "--out", out, *QUICK
    )
    assert status == 0
    recipe = load_recipe(out / "recipe.yaml")
    config = load_checkpoint(out / "student").config
    assert recipe.student.image == config.image
    assert recipe.student.text == config.text
    assert recipe.student.start.checkpoint == out / "student"
    assert recipe.stages[0].towers == ("text",)
    assert yaml.safe_load((out / "recipe.yaml").read_text())["student"]["start"] == {
        "checkpoint": "student"
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{tmp}/none", "{pairs}", "--ms", "5"), "none is not a checkpoint"),
        (("{tmp}/whole", "{tmp}/none.jsonl", "--ms", "5"), "none.jsonl"),
        (("{tmp}/whole", "{pairs}", "--ms", "5", "--target", "moon"), "on 'moon'; choose"),
        (("{tmp}/whole", "{pairs}", "--ms", "5", "--out", "{tmp}/whole"), "is a checkpoint"),
        (
            ("{tmp}/whole", "{pairs}", "--ms", "0.001", "--target", "torch", "--out", "{tmp}/o"),
            "--ms 0.001 cannot be reached",
        ),
    ],
)
def test_bad_input_is_one_line(leanclip, checkpoint, pairs, tmp_path, arguments, message):
    places = {"tmp": tmp_path, "pairs": pairs}
    status, out, err = leanclip("fit", *(part.format(**places) for part in arguments))
    assert (status, out) == (1, "")
    assert message in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not (tmp_path / "o" / "student").exists()
