"""A whole search with a made-up meter and a made-up recall."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval.compress.elastic.extract import ordered
from retrieval.compress.fit.findings import Findings
from retrieval.compress.fit.search import TowerSearch
from retrieval.compress.fit.settings import Search
from retrieval.compress.fit.space import Space
from retrieval.compress.loop.reporter import SilentReporter
from retrieval.compress.prune.select import Keep
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.errors import RecipeError
from retrieval.spec.tower import Tower
from tests.tiny import tiny_model, tiny_tokenizer

BLOCKS = {"width": 32, "head_dim": 8, "layers": 4, "heads": 4, "neurons": 128}
SETTINGS = Search(measured=12, population=12, generations=8, seed=3)


class AdditiveMeter:
    """Each layer takes 1 ms, each head 0.5 ms and each neuron 0.01 ms."""

    measured = 0

    def milliseconds(self, model: DualEncoder, tokenizer: Tokenizer, tower: Tower) -> float:
        self.measured += 1
        blocks = model.config.text.blocks
        return len(blocks.heads) + 0.5 * sum(blocks.heads) + 0.01 * sum(blocks.neurons)


def usefulness(keep: Keep) -> float:
    """Layers matter most, then neurons, then heads."""
    shares = {name: mask.float().mean().item() for name, mask in keep.items()}
    layers = shares["text.layer"]
    heads, neurons = shares["text.blocks.0.head"], shares["text.blocks.0.neuron"]
    return (layers + 0.5 * neurons**0.5 + 0.2 * heads**0.5) / 1.7


def search(path: Path, meter: AdditiveMeter, recall: Callable[[Keep], float]) -> TowerSearch:
    source = ordered(tiny_model(text={"blocks": BLOCKS}), None, ("text",))
    conditions = {"milliseconds": {"on": "paper"}, "recall": {"of": "nobody"}}
    return TowerSearch(
        source, Space(source, "text", SETTINGS), SETTINGS, tiny_tokenizer(), meter, recall,  # type: ignore[arg-type]
        Findings(path, conditions), SilentReporter(),
    )  # fmt: skip


def test_the_best_shape_within_the_milliseconds_is_found(tmp_path: Path) -> None:
    target = 8.0
    found = search(tmp_path / "text.json", AdditiveMeter(), usefulness).run(target)
    everything = [
        (layers * (1 + 0.5 * heads + 0.01 * neurons),
         (layers / 4 + 0.5 * (neurons / 128) ** 0.5 + 0.2 * (heads / 4) ** 0.5) / 1.7)
        for layers in range(1, 5)
        for heads in range(1, 5)
        for neurons in (32, 48, 64, 80, 96, 112, 128)
    ]  # fmt: skip
    best = max(gain for time, gain in everything if time <= target)
    assert found.best.recall == pytest.approx(best)
    assert found.best.measured
    assert found.best.milliseconds <= target
    units = found.best.units
    assert found.best.milliseconds == pytest.approx(
        units["layers"] * (1 + 0.5 * units["heads"] + 0.01 * units["neurons"])
    )
    assert found.keep["text.layer"].sum() == units["layers"]
    assert found.accuracy.shapes == 3
    times = [point.milliseconds for point in found.front]
    recalls = [point.recall for point in found.front]
    assert times == sorted(times)
    assert recalls == sorted(recalls)
    assert json.dumps(found.figures)


def test_a_second_run_measures_and_judges_nothing_again(tmp_path: Path) -> None:
    first = search(tmp_path / "text.json", AdditiveMeter(), usefulness).run(8.0)
    meter = AdditiveMeter()

    def refused(keep: Keep) -> float:
        raise AssertionError("judged again")

    again = search(tmp_path / "text.json", meter, refused).run(8.0)
    assert meter.measured == 0
    assert again.best == first.best
    assert again.points == first.points


def test_figures_of_other_conditions_are_not_used(tmp_path: Path) -> None:
    path = tmp_path / "text.json"
    Findings(path, {"milliseconds": {"on": "a"}, "recall": {}}).get("recall", (1, 2), lambda: 0.5)
    same = Findings(path, {"milliseconds": {"on": "b"}, "recall": {}})
    assert same.get("recall", (1, 2), lambda: 0.7) == 0.5
    other = Findings(path, {"milliseconds": {"on": "a"}, "recall": {"of": 1}})
    assert other.get("recall", (1, 2), lambda: 0.7) == 0.7
    path.write_text("[]")
    with pytest.raises(RecipeError, match="holds no measurements; delete it"):
        Findings(path, {"recall": {}})


def test_a_number_of_milliseconds_that_no_shape_reaches(tmp_path: Path) -> None:
    meter = AdditiveMeter()
    with pytest.raises(RecipeError, match="--ms 1 cannot be reached: the smallest shape"):
        search(tmp_path / "text.json", meter, usefulness).run(1.0)
    assert meter.measured == 1
