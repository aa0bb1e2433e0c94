import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from retrieval.compress.runner import run_recipe, stage_metrics
from retrieval.models.checkpoint import load_checkpoint
from retrieval.spec.errors import RecipeError, TrainingError
from tests.compress.small_runs import recipe, student, write_data, write_teacher

ONE = {"epochs": 1}
IMAGE = {"stage": "distil", "tower": "image", "training": ONE}
TEXT = {"stage": "distil", "tower": "text", "training": ONE}
PAIRS = {"stage": "finetune", "towers": ["image", "text"], "losses": {"pairs": 1}, "training": ONE}


class Notes:
    def __init__(self) -> None:
        self.begun: list[str] = []
        self.told: list[str] = []

    def begin(self, title: str, total: int, done: int = 0) -> None:
        self.begun.append(title)

    def advance(self, done: int, total: int | None = None, note: str = "") -> None:
        pass

    def tell(self, text: str) -> None:
        self.told.append(text)

    @property
    def stages(self) -> list[str]:
        return [title for title in self.begun if "cache" not in title]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_teacher(tmp_path_factory.mktemp("teacher") / "teacher")


def written(checkpoint: Path) -> tuple[int, int]:
    """Which file the weights are and when it was written."""
    found = (checkpoint / "model.safetensors").stat()
    return found.st_ino, found.st_mtime_ns


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoint / "model.safetensors")


def test_each_stage_leaves_a_checkpoint_with_its_figures_log_and_recipe(
    data: dict[str, Path], teacher: Path, tmp_path: Path
) -> None:
    made = recipe(
        data, [IMAGE, TEXT, {**PAIRS, "losses": {"pairs": 1, "affinity": 1}}], teacher=teacher
    )
    final = run_recipe(made, tmp_path / "run")
    assert sorted(p.name for p in (tmp_path / "run").iterdir() if p.is_dir()) == [
        "1-distil-image", "2-distil-text", "3-finetune-image-text", "student",
    ]  # fmt: skip
    metrics = stage_metrics(made, tmp_path / "run")
    assert [one["stage"] for one in metrics] == [
        "1-distil-image", "2-distil-text", "3-finetune-image-text",
    ]  # fmt: skip
    for one in metrics:
        assert 0 <= one["dev"]["text_to_image"]["recall@10"] <= 1
        assert one["parameters"]["image"] > 0
        log = (tmp_path / "run" / one["stage"] / "log.jsonl").read_text().splitlines()
        steps = [json.loads(line)["step"] for line in log if "loss" in line]
        assert steps == list(range(1, len(steps) + 1))
    loaded = load_checkpoint(final)
    assert loaded.config.name == "small"
    assert loaded.recipe == made.as_written
    last = weights(tmp_path / "run" / "3-finetune-image-text")
    assert all(torch.equal(last[name], tensor) for name, tensor in weights(final).items())


def test_a_finished_run_is_left_as_it_is(data: dict[str, Path], tmp_path: Path) -> None:
    made = recipe(data, [PAIRS])
    final = run_recipe(made, tmp_path / "run")
    before = written(final)
    notes = Notes()
    assert run_recipe(made, tmp_path / "run", reporter=notes) == final
    assert written(final) == before
    assert notes.stages == []
    assert "up to date" in notes.told[0]


def test_a_changed_later_stage_keeps_the_earlier_ones(
    data: dict[str, Path], teacher: Path, tmp_path: Path
) -> None:
    run_recipe(recipe(data, [IMAGE, PAIRS], teacher=teacher), tmp_path / "run")
    first = written(tmp_path / "run" / "1-distil-image")
    changed = recipe(data, [IMAGE, {**PAIRS, "temperature": 0.1}], teacher=teacher)
    notes = Notes()
    run_recipe(changed, tmp_path / "run", reporter=notes)
    assert notes.stages == ["2-finetune-image-text"]
    assert written(tmp_path / "run" / "1-distil-image") == first


def test_stages_run_in_one_go_or_one_by_one_alike(
    data: dict[str, Path], teacher: Path, tmp_path: Path
) -> None:
    stages = [IMAGE, {**PAIRS, "training": {**ONE, "dropout": 0.2}}]
    for stored_as in ("fp32", "fp16"):
        once = tmp_path / f"once-{stored_as}"
        steps = tmp_path / f"steps-{stored_as}"
        whole = recipe(data, stages, teacher=teacher, stored_as=stored_as)
        run_recipe(whole, once)
        run_recipe(recipe(data, stages[:1], teacher=teacher, stored_as=stored_as), steps)
        run_recipe(whole, steps)
        expected, found = weights(once / "student"), weights(steps / "student")
        assert expected["text.projection.weight"].dtype == getattr(torch, f"float{stored_as[2:]}")
        assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_another_teacher_means_another_run(
    data: dict[str, Path], teacher: Path, tmp_path: Path
) -> None:
    run_recipe(recipe(data, [IMAGE], teacher=teacher), tmp_path / "run")
    other = write_teacher(tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    config["preprocessing"]["interpolation"] = "bilinear"
    (other / "config.json").write_text(json.dumps(config))
    made = recipe(data, [IMAGE], teacher=other)
    # Same place and same weights; only the fingerprint differs.
    made = made.model_copy(update={"teacher": str(other)})
    made._validated.update(recipe(data, [IMAGE], teacher=teacher).validated)
    notes = Notes()
    run_recipe(made, tmp_path / "run", reporter=notes)
    assert notes.stages == ["1-distil-image"]


def bridge_file(run: Path) -> Path:
    (found,) = run.glob("bridge-*.safetensors")
    return found


def test_stage_one_needs_neither_pairs_nor_dev(data: dict[str, Path], tmp_path: Path) -> None:
    wide = write_teacher(tmp_path / "wide", dim=32)
    made = recipe(data, [IMAGE, TEXT], teacher=wide, use=("photos", "sentences"))
    final = run_recipe(made, tmp_path / "run")
    assert [one["dev"] for one in stage_metrics(made, tmp_path / "run")] == [{}, {}]
    bridge = load_file(bridge_file(tmp_path / "run"))["weight"]
    assert bridge.shape == (32, 16)
    torch.testing.assert_close(bridge.T @ bridge, torch.eye(16), atol=1e-5, rtol=0)
    assert load_checkpoint(final).config.embedding_dim == 16


def test_the_bridge_is_learned_once_and_then_kept(data: dict[str, Path], tmp_path: Path) -> None:
    wide = write_teacher(tmp_path / "wide", dim=32)
    run_recipe(recipe(data, [IMAGE], teacher=wide), tmp_path / "run")
    learned = load_file(bridge_file(tmp_path / "run"))["weight"]
    run_recipe(recipe(data, [IMAGE, TEXT], teacher=wide), tmp_path / "run")
    kept = load_file(bridge_file(tmp_path / "run"))["weight"]
    torch.testing.assert_close(kept, learned, atol=1e-5, rtol=0)
    bridge_file(tmp_path / "run").write_bytes(b"damaged")
    longer = recipe(data, [IMAGE, {**TEXT, "losses": {"regression": 2}}], teacher=wide)
    with pytest.raises(TrainingError, match="bridge-.*delete"):
        run_recipe(longer, tmp_path / "run")


def test_a_student_wider_than_its_teacher_is_refused(
    data: dict[str, Path], teacher: Path, tmp_path: Path
) -> None:
    made = recipe(data, [IMAGE], teacher=teacher, student=student(dim=24))
    with pytest.raises(RecipeError, match="24 exceeds the teacher's 16"):
        run_recipe(made, tmp_path / "run")


def test_one_photo_is_not_enough(data: dict[str, Path], tmp_path: Path) -> None:
    lines = data["pairs"].read_text().splitlines()
    alone = data["pairs"].parent / "alone.jsonl"
    alone.write_text(lines[0] + "\n")
    with pytest.raises(RecipeError, match="alone.jsonl: one photo is not enough"):
        run_recipe(recipe({**data, "pairs": alone}, [PAIRS]), tmp_path / "run")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_photo_is_named_in_one_line(
    data: dict[str, Path], tmp_path: Path, workers: int
) -> None:
    own = write_data(tmp_path / "data", count=8)
    damaged = own["photos"] / "000003.jpg"
    damaged.write_bytes(damaged.read_bytes()[:300])
    training = {**ONE, "loader_workers": workers}
    with pytest.raises(Exception, match="000003.jpg") as caught:
        run_recipe(recipe(own, [{**PAIRS, "training": training}]), tmp_path / "run")
    assert type(caught.value).__name__ == "PhotoError"
    assert "\n" not in str(caught.value)


def test_starting_from_a_checkpoint_goes_on_from_its_weights(
    data: dict[str, Path], tmp_path: Path
) -> None:
    first = run_recipe(recipe(data, [PAIRS]), tmp_path / "first")
    shape: dict[str, Any] = {**student(), "start": {"checkpoint": str(first)}}
    tiny = {**PAIRS, "training": {**ONE, "learning_rate": 1e-12}}
    second = run_recipe(recipe(data, [tiny], student=shape), tmp_path / "second")
    expected, found = weights(first), weights(second)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-6, rtol=0)
    other = {**shape, "text": {"blocks": {"width": 64, "layers": 1, "neurons": 64}}}
    with pytest.raises(RecipeError, match="student.text differs"):
        run_recipe(recipe(data, [PAIRS], student=other), tmp_path / "third")


def test_a_stage_that_factorises_trains_nothing_and_later_stages_go_on(
    data: dict[str, Path], tmp_path: Path
) -> None:
    thin = {"stage": "factorise", "towers": ["text"], "rank": 8}
    made = recipe(data, [thin, PAIRS])
    folder = run_recipe(made, tmp_path / "run")
    first, second = stage_metrics(made, tmp_path / "run")
    assert first["stage"] == "1-factorise-text"
    assert first["factorised"]["parameters"] < first["factorised"]["parameters_before"]
    assert second["parameters"] == first["parameters"]
    assert not (tmp_path / "run" / "1-factorise-text" / "log.jsonl").exists()
    blocks = load_checkpoint(folder).config.text.blocks
    assert blocks.ranks[0].up == 8


def test_modified_stages_leave_smaller_dense_and_rounded_checkpoints(
    data: dict[str, Path], tmp_path: Path
) -> None:
    prune = {"granularity": "neuron", "budget": {"sparsity": 0.5}, "schedule": "one_shot"}
    grid = {"weights": {"linear": "int4"}}
    text = {**PAIRS, "towers": ["text"]}
    rounded_text = {**text, "quantise": grid}
    made = recipe(data, [{**text, "prune": prune}, text, rounded_text, text])
    run_recipe(made, tmp_path / "run")
    pruned, plain, rounded, _ = stage_metrics(made, tmp_path / "run")
    assert pruned["stage"] == "1-prune-text"
    assert plain["parameters"] == pruned["parameters"] == rounded["parameters"]
    assert load_checkpoint(tmp_path / "run" / "1-prune-text").config.text.blocks.neurons == (32,)
    assert load_checkpoint(tmp_path / "run" / "2-finetune-text").config.quantisation is None
    last = load_checkpoint(tmp_path / "run" / "3-quantise-text")
    assert last.config.quantisation is not None
    weight = last.model.text.blocks[0].up.weight[0]
    assert len(weight.unique()) <= 15
    assert load_checkpoint(tmp_path / "run" / "4-finetune-text").config.quantisation is None


def test_reinforced_students_see_the_views_that_their_teachers_saw(
    data: dict[str, Path], teacher: Path, tmp_path: Path
) -> None:
    both = [teacher, write_teacher(tmp_path / "other", dim=24)]
    finetune = {"stage": "finetune", "towers": ["image"], "training": ONE}
    reinforced = {"reinforcement": {"views": 2}, "decoded": {}}
    stages = [IMAGE, TEXT, finetune]
    made = recipe(data, stages, teacher=both, data=reinforced)
    run_recipe(made, tmp_path / "run")
    kinds = [
        json.loads(path.read_text())["kind"]
        for path in (tmp_path / "teacher-cache").glob("*/*/cache.json")
    ]
    assert sorted(kinds).count("views") == 2
    assert len(list((tmp_path / "run").glob("bridge-*.safetensors"))) == 2
    assert not (tmp_path / "run" / ".pixels").exists()
