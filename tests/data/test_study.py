import json
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest
import torch
from figures import read_csv
from study.plan import Base, Job, chosen, continuing_recipe, fresh_recipe, merged, plan
from study.results import COLUMNS, MEASURED, finished, remaining, update_tables
from study.row import IMAGE_1, STAGES, TEXT_1, TEXT_2, On, Row
from study.rows import ROWS, baseline_of
from study.schedule import run_jobs
from study.table import Summary, difference, summaries, write_table
from study.work import RESULT, train

from retrieval.language.tokenizer import Tokenizer
from retrieval.models.checkpoint import load_checkpoint
from retrieval.spec.errors import RecipeError, TrainingError
from retrieval.spec.model import ModelConfig
from tests.compress.small_runs import recipe, write_data, write_teacher

RECIPE = Path(__file__).parents[2] / "data" / "recipes" / "study.yaml"


@pytest.fixture(scope="module")
def base() -> Base:
    return Base.read(RECIPE, "the teacher")


@pytest.fixture(scope="module")
def config(base: Base) -> ModelConfig:
    student = base.value["student"]
    parts = {key: student[key] for key in ("embedding_dim", "image", "text", "preprocessing")}
    tokens = Tokenizer.clip(context_length=32).spec
    return ModelConfig.model_validate({"name": "parent", "tokens": tokens, **parts})


ALONE = Row("fruit", "apple", (On(TEXT_1),))
CHILD = Row("fruit", "pear", (On(TEXT_2),), parent="fruit/apple")
GRANDCHILD = Row("fruit", "plum", (On(TEXT_2),), parent="fruit/pear")
OTHER = Row("nuts", "hazel", (On(IMAGE_1),))


def test_every_row_is_a_valid_recipe(base: Base, config: ModelConfig) -> None:
    for job in plan(ROWS, base):
        if job.parent is None or job.row.fresh is not None:
            recipe = fresh_recipe(base, job, config if job.row.fresh else None)
        if job.parent is not None:
            recipe = continuing_recipe(base, job, Path("/parent"), config)
            assert recipe.student.start.checkpoint == Path("/parent")
        assert len(recipe.stages) == len(job.row.stages)
        assert recipe.seed == job.seed


def test_every_baseline_is_a_row_of_its_group() -> None:
    keys = {row.key for row in ROWS}
    against = [(row.group, baseline_of(row)) for row in ROWS]
    assert all(name is None or f"{group}/{name}" in keys for group, name in against)
    assert sum(name is not None for _, name in against) > 50


def test_the_base_recipe_has_the_stages_that_rows_name(base: Base, config: ModelConfig) -> None:
    rows = [Row("x", stage, (On(stage),)) for stage in STAGES]
    named = [fresh_recipe(base, job).stages[0] for job in plan(rows, base)]
    kinds = [(stage.stage, stage.towers) for stage in named]
    assert kinds == [
        ("distil", ("image",)), ("distil", ("text",)), ("finetune", ("image",)),
        ("finetune", ("text",)),
    ]  # fmt: skip


def test_changes_extend_mappings_but_replace_losses() -> None:
    value = {"training": {"epochs": 2, "dropout": 0.1}, "losses": {"pairs": 1}, "towers": ["text"]}
    changes = {"training": {"epochs": 5}, "losses": {"affinity": 1}, "towers": None}
    assert merged(value, changes) == {
        "training": {"epochs": 5, "dropout": 0.1},
        "losses": {"affinity": 1},
    }
    assert value["training"]["epochs"] == 2


def test_children_go_on_from_the_same_seed_where_there_is_one(base: Base) -> None:
    twice = Row("fruit", "apple", (On(TEXT_1),), seeds=(0, 1))
    thrice = Row("fruit", "pear", (On(TEXT_2),), parent="fruit/apple", seeds=(0, 1, 2))
    jobs = plan((twice, thrice), base)
    assert [(job.parent.seed if job.parent else None) for job in jobs] == [None, None, 0, 1, 0]


def test_a_row_is_named_by_all_that_decides_its_result(base: Base) -> None:
    before = plan((ALONE, CHILD), base)
    renamed = plan((ALONE, Row("x", "y", (On(TEXT_2),), parent="fruit/apple")), base)
    assert renamed[1].sha256 == before[1].sha256
    changed = Row("fruit", "apple", (On(TEXT_1, {"training": {"epochs": 7}}),))
    assert plan((changed, CHILD), base)[1].sha256 != before[1].sha256
    other = Base(base.value, base.folder, "another teacher")
    assert plan((ALONE,), other)[0].sha256 != before[0].sha256


def test_a_parent_must_be_a_row_above(base: Base) -> None:
    with pytest.raises(RecipeError, match="goes on from fruit/apple"):
        plan((CHILD, ALONE), base)
    with pytest.raises(RecipeError, match="two rows are called fruit/apple"):
        plan((ALONE, ALONE), base)


def test_chosen_rows_bring_what_they_go_on_from(base: Base) -> None:
    jobs = plan((OTHER, ALONE, CHILD, GRANDCHILD), base)
    assert [job.row.name for job in chosen(jobs, ["fruit/pe"])] == ["apple", "pear"]
    assert chosen(jobs, []) == jobs
    with pytest.raises(RecipeError, match="--only vegetables"):
        chosen(jobs, ["vegetables"])


class AtOnce(Executor):
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


class Work:
    def __init__(self, broken: str = "", error: BaseException | None = None) -> None:
        self.broken = broken
        self.error = error or TrainingError("the loss is nan\nand more")
        self.done: list[str] = []

    def __call__(self, base: Base, job: Job, out: Path) -> dict[str, Any]:
        if job.row.name == self.broken:
            raise self.error
        assert job.parent is None or finished(job.parent, out)
        self.done.append(job.row.name)
        job.folder(out).mkdir(parents=True)
        result = result_of(job)
        (job.folder(out) / RESULT).write_text(json.dumps(result))
        return result


def result_of(job: Job, recall: float = 0.25) -> dict[str, Any]:
    way = {f"recall@{k}": recall for k in (1, 5, 10)}
    last = {
        "dev": {"text_to_image": way, "image_to_text": way},
        "parameters": {"image": 30, "text": 12},
    }
    return {
        "sha256": job.sha256,
        "commit": "abc",
        "seconds": 2.0,
        "training_seconds": 1.5,
        "stages": [last],
    }


def test_parents_run_first_and_nothing_twice(base: Base, tmp_path: Path) -> None:
    jobs = plan((OTHER, ALONE, CHILD, GRANDCHILD), base)
    work = Work()
    assert run_jobs(base, jobs, tmp_path, 1, work=work, pool=AtOnce()) == {}
    assert work.done.index("apple") < work.done.index("pear") < work.done.index("plum")
    assert sorted(work.done) == ["apple", "hazel", "pear", "plum"]
    assert names(remaining(jobs, tmp_path, tmp_path / "none")) == []
    changed = Row("fruit", "pear", (On(TEXT_2, {"training": {"epochs": 9}}),), parent="fruit/apple")
    jobs = plan((OTHER, ALONE, changed, GRANDCHILD), base)
    assert names(remaining(jobs, tmp_path, tmp_path / "none")) == ["pear", "plum"]


def test_measured_rows_of_the_tables_run_again_only_for_what_goes_on_from_them(
    base: Base, tmp_path: Path
) -> None:
    jobs = plan((OTHER, ALONE, CHILD, GRANDCHILD), base)
    figures, there, here = tmp_path / "study", tmp_path / "there", tmp_path / "here"
    run_jobs(base, jobs, there, 1, work=Work(), pool=AtOnce())
    update_tables(jobs, there, figures)
    assert names(remaining(jobs, here, figures)) == names(jobs), "nothing is measured yet"
    for job in jobs[:3]:
        (job.folder(there) / MEASURED).write_text(json.dumps({"bytes": 9}))
    update_tables(jobs, there, figures)
    assert names(remaining(jobs, here, figures)) == ["apple", "pear", "plum"]
    assert names(remaining(jobs[:3], here, figures)) == []
    run_jobs(base, jobs[1:3], here, 1, work=Work(), pool=AtOnce())
    assert names(remaining(jobs, here, figures)) == ["plum"]


def names(jobs: list[Job]) -> list[str]:
    return [job.row.name for job in jobs]


def test_a_failed_row_stops_its_descendants_alone(base: Base, tmp_path: Path) -> None:
    jobs = plan((ALONE, CHILD, GRANDCHILD, OTHER), base)
    work = Work(broken="pear")
    failed = run_jobs(base, jobs, tmp_path, 2, work=work, pool=AtOnce())
    assert failed == {
        "fruit/pear": "TrainingError: the loss is nan",
        "fruit/plum": "it goes on from fruit/pear, which failed",
    }
    assert sorted(work.done) == ["apple", "hazel"]
    assert names(remaining(jobs, tmp_path, tmp_path / "none")) == ["pear", "plum"]


def test_an_interrupt_ends_the_study_and_keeps_what_is_done(base: Base, tmp_path: Path) -> None:
    jobs = plan((ALONE, CHILD), base)
    work = Work(broken="pear", error=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run_jobs(base, jobs, tmp_path, 1, work=work, pool=AtOnce())
    assert [finished(job, tmp_path) for job in jobs] == [True, False]


def test_tables_keep_figures_from_elsewhere_while_the_recipe_is_the_same(
    base: Base, tmp_path: Path
) -> None:
    jobs = plan((ALONE, OTHER), base)
    figures = tmp_path / "study"
    there, here = tmp_path / "there", tmp_path / "here"
    run_jobs(base, jobs, there, 1, work=Work(), pool=AtOnce())
    update_tables(jobs, there, figures)
    changed = Row("nuts", "hazel", (On(IMAGE_1, {"training": {"epochs": 9}}),))
    update_tables(plan((ALONE, changed), base), here, figures)
    (kept,) = read_csv(figures)
    assert (kept["row"], kept["t2i_r1"], kept["mean_recall"]) == ("apple", "25.0", "25.0")
    assert kept["parameters"] == "42"
    assert kept["bytes"] == ""
    (raw,) = json.loads(figures.with_suffix(".json").read_text())["raw"]
    assert raw["sha256"] == jobs[0].sha256


def line(row: str, seed: int, recall: float, **more: Any) -> dict[str, str]:
    values = dict.fromkeys(COLUMNS, "") | {
        "group": "g", "row": row, "seed": seed, "baseline": "" if row == "base" else "base",
        "mean_recall": recall, "parameters": 1_000_000, "criterion": row, "zeros": 0.5,
        **{f"{way}_r{k}": recall for way in ("t2i", "i2t") for k in (1, 5, 10)},
        **more,
    }  # fmt: skip
    return {name: str(value) for name, value in values.items()}


def summary(row: str, *recalls: float) -> Summary:
    (found,) = summaries([line(row, seed, recall) for seed, recall in enumerate(recalls)])
    return found


def test_a_difference_within_the_noise_is_no_gain() -> None:
    # Twice the standard error of one difference of two runs: 2 * sqrt(2) * 0.5.
    one = difference(summary("a", 31.4), summary("base", 30.0), noise=0.5)
    assert one.chance == pytest.approx(2**1.5 * 0.5)
    assert (one.gain, one.verdict) == (pytest.approx(1.4), "no gain")
    assert difference(summary("a", 31.5), summary("base", 30.0), noise=0.5).verdict == "helps"
    assert difference(summary("a", 28.5), summary("base", 30.0), noise=0.5).verdict == "hurts"


def test_differences_are_taken_seed_by_seed() -> None:
    # Differences 1, 2 and 3: mean 2, standard deviation 1.
    found = difference(summary("a", 11, 22, 33), summary("base", 10, 20, 30), noise=0.1)
    assert (found.gain, found.seeds) == (pytest.approx(2), 3)
    assert found.chance == pytest.approx(2 / 3**0.5)
    # The second and third seed have no counterpart.
    assert difference(summary("a", 11, 50, 60), summary("base", 10), noise=0.1).gain == 1


def write_csv(figures: Path, lines: list[dict[str, str]]) -> None:
    rows = [",".join(COLUMNS)] + [",".join(one[name] for name in COLUMNS) for one in lines]
    figures.with_suffix(".csv").write_text("\n".join(rows) + "\n")


def test_the_table_says_what_did_not_help(tmp_path: Path) -> None:
    lines = [line("base", 0, 30.0), line("base", 1, 30.4), line("same", 0, 30.1)]
    write_csv(tmp_path / "study", [*lines, line("better", 0, 35.0), line("worse", 0, 20.0)])
    write_table(tmp_path / "study")
    text = (tmp_path / "study.md").read_text()
    assert "- *same* is no gain over *base*: +0.10 points (one seed)" in text
    assert "- *worse* is worse than *base*: -10.00 points" in text
    assert "*better* is" not in text
    assert "| **better** | **1** |" in text
    assert "30.2 ± 0.3" in text


def test_the_front_is_what_nothing_else_beats() -> None:
    plots = pytest.importorskip("study.plots")
    points = [(3, 5), (1, 2), (2, 2), (2, 4), (4, 5), (1, 1)]
    assert plots.front(points) == [(1, 2), (2, 4), (3, 5)]


def test_plots_are_small_and_the_same_each_time(tmp_path: Path) -> None:
    plots = pytest.importorskip("study.plots")
    group = "structured pruning"
    lines = [
        line(name, seed, 30 + seed, group=group, bytes=5_000_000)
        for name in "ab"
        for seed in (0, 1)
    ]
    write_csv(tmp_path / "study", lines)
    written = plots.draw_plots(tmp_path / "study")
    names = [path.name for path in written]
    assert names == [
        "study-recall-parameters.svg", "study-recall-bytes.svg", "study-structured-pruning.svg",
    ]  # fmt: skip
    before = [path.read_bytes() for path in written]
    assert all(len(content) < 200_000 for content in before)
    plots.draw_plots(tmp_path / "study")
    assert [path.read_bytes() for path in written] == before


@pytest.fixture
def small_base(tmp_path: Path) -> Base:
    data = write_data(tmp_path / "data", count=16)
    teacher = write_teacher(tmp_path / "teacher", dim=24)
    losses = {"contrastive": 1, "regression": 1}
    stages: list[dict[str, Any]] = [
        {"stage": "distil", "tower": "image", "losses": losses},
        {"stage": "distil", "tower": "text", "losses": losses},
        {"stage": "finetune", "towers": ["image"]},
        {"stage": "finetune", "towers": ["text"]},
    ]
    small = recipe(data, stages, teacher=teacher)
    return Base(small.validated, tmp_path, "the teacher")


def test_a_fresh_tower_learns_beside_its_parents_other_one(
    small_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study.measure.export_row", lambda job, out: None)
    start = Row("x", "start", (On(IMAGE_1, {"training": {"epochs": 1}}),))
    blocks = {"width": 48, "head_dim": 16, "layers": 1, "neurons": 32}
    wider = {"student": {"text": {"blocks": blocks}}}
    once = {"training": {"epochs": 1}}
    fresh = Row("x", "fresh", (On(TEXT_1, once),), "x/start", "text", recipe=wider)
    jobs = plan((start, fresh), small_base)
    assert run_jobs(small_base, jobs, tmp_path / "out", 1, work=train, pool=AtOnce()) == {}
    parent, child = (load_checkpoint(job.folder(tmp_path / "out") / "student") for job in jobs)
    assert child.config.image == parent.config.image
    assert child.config.text.blocks.width == 48
    ours, theirs = child.model.image.state_dict(), parent.model.image.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    bridges = [next(job.folder(tmp_path / "out").glob("bridge-*")).read_bytes() for job in jobs]
    assert bridges[0] == bridges[1]
