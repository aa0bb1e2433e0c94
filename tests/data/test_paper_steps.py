"""The benchmark's own parts; running it takes minutes and is not a test."""

from typing import Any

import paper_steps
import pytest

from retrieval.compress.plan.amounts import count
from retrieval.compress.plan.sample import make_sample
from retrieval.compress.recipe import load_recipe
from retrieval.compress.start.settings import Start

RESULTS: dict[str, dict[str, Any]] = {
    "coco-vit": {
        "parameters": {"image": 21_900_000, "text": 38_200_000},
        "checkpoint_bytes": 241_000_000,
        "items_per_second": {"1-distil-image": 1.5, "2-distil-text": 20.25},
        "peak_memory_bytes": 3_300_000_000,
        "resumed": True,
    }
}
STAMP = {"machine": "a machine", "date": "2026-01-02T03:04", "threads": "1", "statistic": "median"}
ROW = "| coco-vit | 21.9 M + 38.2 M | 241 MB | 1.5 | 20.2 | 3.3 GB | yes |"


def test_the_table_has_a_row_for_each_recipe() -> None:
    assert paper_steps.table(RESULTS).splitlines()[2:] == [ROW]


def test_a_second_table_takes_the_place_of_the_first() -> None:
    page = paper_steps.PAGE.read_text("utf-8")
    once = paper_steps.filled(page, STAMP, RESULTS)
    assert ROW in once
    assert "a machine, 2026-01-02" in once
    assert paper_steps.filled(once, STAMP, RESULTS) == once
    with pytest.raises(ValueError, match="no place"):
        paper_steps.filled("nothing", STAMP, RESULTS)


def test_the_first_step_of_a_stage_does_not_count_as_pace() -> None:
    rows = [{"stage": "one", "batch": 4, "seconds": seconds} for seconds in (9.0, 1.0, 3.0)]
    assert paper_steps.pace(rows) == {"one": 2.0}


def test_a_shortened_recipe_keeps_losses_and_towers(tmp_path, monkeypatch) -> None:
    recipe = load_recipe(paper_steps.RECIPES / "flickr30k-vit.yaml")

    def unmade(recipe, folder):
        return recipe.student.model_copy(update={"start": Start(checkpoint=folder)})

    # The real student takes seconds to write, and is not what this looks at.
    monkeypatch.setattr(paper_steps, "student_stand_in", unmade)
    job = paper_steps.Job(paper_steps.RECIPES, tmp_path / "teacher", steps=2, batch=4)
    sample = make_sample(count(recipe.data, 0), tmp_path / "photos", 8)
    short = paper_steps.shortened(recipe, job, sample, tmp_path)
    assert short.teachers == (str(tmp_path / "teacher"),)
    for long, brief in zip(recipe.stages, short.stages, strict=True):
        assert brief.losses == long.losses
        assert brief.towers == long.towers
        assert brief.training.epochs == 1
    assert [stage.training.batch_size for stage in short.stages] == [4, 20, 4, 4]
