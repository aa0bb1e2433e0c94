"""The table of towers by target: its pure parts, and one small run of everything on ONNX."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from figures import read_csv
from targets import run as command
from targets.goals import goals
from targets.measure import Settings
from targets.models import BASELINE, DEFAULT, registry_towers, shape_of
from targets.plot import draw_plot
from targets.results import COLUMNS, MEASURED, MISSING, REFUSED, Results
from targets.row import Model, Row, chosen, rows_of
from targets.table import write_table
from targets.timing import Timed, times_faster

from export.targets.support import SUPPORT, TEXT
from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.bundle import TowerFile
from retrieval.spec.errors import ExportError
from retrieval.spec.model import ModelConfig, TimmTower
from tests.tiny import tiny_checkpoint

PAIRS = Path(__file__).parents[2] / "data" / "photos" / "pairs.jsonl"
FILE = TowerFile(tower="image", format="onnx", precision="fp32", file="f.onnx", sha256="0", bytes=1)


def line(model: str, tower: str, **values: object) -> dict[str, str]:
    named = {"model": model, "tower": tower, "format": "onnx", "precision": "int8"}
    return dict.fromkeys(COLUMNS, "") | named | {key: str(value) for key, value in values.items()}


def lines(*, bytes_of_each: int, photos: float, sentences: float) -> list[dict[str, str]]:
    ours = {"recommended_int8": "yes", "bytes": bytes_of_each, "ms": 1.0, "baseline_ms": 12.0}
    return [
        line(BASELINE, "image", bytes=60_000_000, precision="fp32"),
        line(BASELINE, "text", bytes=40_000_000, precision="fp32"),
        line(DEFAULT, "image", **ours, times_faster=photos),
        line(DEFAULT, "text", **ours, times_faster=sentences),
        line(DEFAULT, "text", bytes=1, times_faster=99, precision="int4"),
    ]


@pytest.mark.parametrize("name", SUPPORT)
def test_every_tower_of_the_registry_has_a_stand_in(name: str) -> None:
    config = ModelConfig.model_validate(shape_of(name) | {"tokens": Tokenizer.clip().spec})
    if isinstance(config.image, TimmTower):
        assert [backbone.name for backbone in config.image.backbones] == [name]
    else:
        assert name in (config.image.kind, TEXT)


def test_goals_that_are_just_reached_are_met() -> None:
    found = goals(lines(bytes_of_each=2_500_000, photos=10.0, sentences=12.5))
    assert [goal.met for goal in found] == [True, True, True]
    assert "5.00 MB of 100 MB, 5.00%" in str(found[0])
    assert "met (12.5 times, 1.00 ms against 12.0 ms; int8)" in str(found[2])


def test_goals_that_are_just_missed_are_not_met() -> None:
    found = goals(lines(bytes_of_each=2_500_001, photos=9.99, sentences=10.0))
    assert [goal.met for goal in found] == [False, False, True]
    assert ": not met (" in str(found[0])


def test_goals_are_not_known_without_figures() -> None:
    whole = lines(bytes_of_each=1, photos=11, sentences=11)
    assert [goal.met for goal in goals(whole[:2])] == [None, None, None]
    assert [goal.met for goal in goals(whole[2:])] == [None, True, True]
    assert [goal.met for goal in goals([])] == [None, None, None]


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    # The machine was slow in the last round, for both alike.
    one = Timed(Path(), FILE, rounds=[1.0, 2.0, 10.0])
    other = Timed(Path(), FILE, rounds=[12.0, 20.0, 110.0])
    assert times_faster(one, other) == 11.0
    assert one.milliseconds == 2.0
    one.reason = "its process ended"
    assert one.milliseconds is None
    assert times_faster(one, other) is None


def test_every_registry_tower_has_a_model_and_every_row_a_key_of_its_own() -> None:
    models = registry_towers(PAIRS)
    assert [model.name for model in models] == list(SUPPORT)
    rows = [row for model in models for row in rows_of(model)]
    assert len({row.key for row in rows}) == len({row.sha256 for row in rows}) == len(rows)
    assert all(row.expected_seconds > 0 for row in rows)
    assert {row.model for row in chosen(rows, ["vit"])} == {"vit"}
    with pytest.raises(ExportError, match="no row is called so"):
        chosen(rows, ["vit/image/wav"])


def test_a_model_quantised_in_training_has_rows_of_its_own_grid() -> None:
    plain = Model("m", ("image",), load=tiny_checkpoint, identity="1")  # type: ignore[arg-type]
    trained = Model("m", ("image",), plain.load, identity="1", quantised=True)
    offered = [{r.precision for r in rows_of(m) if r.format == "onnx"} for m in (plain, trained)]
    assert "int8" in offered[0] and "trained" not in offered[0]
    assert "trained" in offered[1] and "int8" not in offered[1]


def test_a_row_is_done_until_its_weights_change_or_its_converter_was_missing(
    tmp_path: Path,
) -> None:
    first, second, third = (Row("m", "image", "onnx", name, name) for name in ("a", "b", "c"))
    figures = tmp_path / "targets"
    results = Results(figures, [first, second, third], "median")
    results.put(first, {"status": MEASURED, "bytes": 7, "ms": 1.23456}, {"rounds": [1.2]})
    results.put(second, {"status": REFUSED, "reason": "no such operation"}, {})
    results.put(third, {"status": MISSING, "reason": "pip install it"}, {})
    results.save()
    again = Results(figures, [first, second, third], "median")
    assert [again.done(row) for row in (first, second, third)] == [True, True, False]
    changed = Row("m", "image", "onnx", "a", "other weights")
    assert not again.done(changed)
    content = json.loads(figures.with_suffix(".json").read_text("utf-8"))
    assert content["raw"][0]["rounds"] == [1.2]
    assert [one["date"] for one in content["stamps"]] == [content["raw"][0]["date"]]
    Results(figures, [changed, second, third], "median").save()
    assert [one["precision"] for one in read_csv(figures)] == ["b", "c"]


def test_the_page_has_refused_rows_with_their_reason_and_no_figures(tmp_path: Path) -> None:
    row = Row("swan", "image", "onnx", "int8", "1")
    figures = tmp_path / "targets"
    results = Results(figures, [row], "median")
    results.put(row, {"status": REFUSED, "reason": "loses | its meaning; choose fp16"}, {})
    results.save()
    write_table(figures)
    page = figures.with_suffix(".md").read_text("utf-8")
    assert "## `swan`" in page
    (shown,) = (one for one in page.splitlines() if one.startswith("| image |"))
    assert shown.endswith(r"refused: loses \| its meaning; choose fp16 |")
    assert shown.count("–") == 8
    assert "not known (no int8 ONNX files" in page
    assert draw_plot(figures) is None


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Three photos, and a tiny model that is both measured and in the place of CLIP."""
    folder = tmp_path_factory.mktemp("targets")
    captioned = [json.loads(one) for one in PAIRS.read_text("utf-8").splitlines()]
    few = [
        {"image": str(PAIRS.parent / one["image"]), "captions": one["captions"][:1]}
        for one in captioned
        if one["image"] in ("astronaut.png", "autumn_mountain.jpg", "baseball.jpg")
    ]
    pairs = folder / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(one) + "\n" for one in few), "utf-8")
    files = (("onnx", "fp32"), ("onnx", "int8"), ("onnx", "int8-static"))
    load = partial(tiny_checkpoint, folder / "tiny")
    tiny = Model(DEFAULT, ("image", "text"), load, "tiny", retrieves=True, files=files)
    return Settings(
        folder / "work", tiny, pairs, pairs, pairs, site=folder / "none", rounds=2, calls=2
    )


def test_a_model_is_measured_timed_recommended_and_not_run_again(
    settings: Settings, tmp_path: Path
) -> None:
    ours = settings.baseline
    rows = rows_of(ours)
    figures = tmp_path / "figures" / "targets"
    results = Results(figures, rows, "median")
    notes = command.run([ours], rows, results, settings)
    assert len(notes) == 1 and notes[0].startswith("no figures of the browser: ")
    found = {(one["model"], one["tower"], one["precision"]): one for one in read_csv(figures)}
    assert len(found) == len(rows)
    for tower in ("image", "text"):
        exact = found[DEFAULT, tower, "fp32"]
        assert float(exact["worst_cosine"]) > 0.9999
        assert float(exact["bytes_share"]) == 1.0
        assert float(exact["t2i_r10_change"]) == 0.0
        assert float(exact["ms"]) > 0 and float(exact["times_faster"]) > 0
        small = found[DEFAULT, tower, "int8"]
        assert int(small["bytes"]) < int(exact["bytes"])
        refused = found[DEFAULT, tower, "int8-static"]
        assert refused["status"] == REFUSED and "choose int8" in refused["reason"]
        assert refused["ms"] == refused["bytes"] == ""
    assert all(found[DEFAULT, tower, "int8"]["recommended_int8"] for tower in ("image", "text"))
    assert [goal.met is None for goal in goals(list(found.values()))] == [True, False, False]
    raw = json.loads(figures.with_suffix(".json").read_text("utf-8"))["raw"]
    assert all(len(one["rounds"]) == len(one["baseline_rounds"]) == 2 for one in raw[:2])
    assert draw_plot(figures) is not None

    again = Results(figures, rows, "median")
    assert all(map(again.done, rows))
    broken = replace(ours, load=_never)
    assert command.run([broken], rows, again, settings) == []


def test_a_model_that_cannot_be_read_is_in_the_table(settings: Settings, tmp_path: Path) -> None:
    lost = Model(
        "lost", ("image",), partial(_load, tmp_path / "no"), "1", files=(("onnx", "fp32"),)
    )
    (row,) = rows_of(lost)
    results = Results(tmp_path / "targets", [row], "median")
    command.run([lost], [row], results, settings)
    (only,) = read_csv(tmp_path / "targets")
    assert only["status"] == REFUSED
    assert str(tmp_path / "no") in only["reason"]


def _load(folder: Path) -> object:
    from retrieval.models.checkpoint import load_checkpoint

    return load_checkpoint(folder)


def _never() -> object:
    raise AssertionError("a row that is done was run again")
