"""``leanclip fit``: find the shape of a student under a number of milliseconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.options import JsonOption
from retrieval.compress.fit.settings import Search
from retrieval.spec.defaults import HOST
from retrieval.spec.errors import CheckpointError, RecipeError
from retrieval.spec.tower import Tower

if TYPE_CHECKING:
    from retrieval.compress.elastic.extract import Ordered
    from retrieval.compress.fit.findings import Findings
    from retrieval.compress.fit.search import Found
    from retrieval.compress.prune.meter import Meter
    from retrieval.corpora.pairs import CaptionedPhoto
    from retrieval.models.checkpoint import Checkpoint

_SPACE = {"widths", "layers", "per_layer"}


def fit(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint folder to take weights from.")],
    pairs: Annotated[
        Path,
        typer.Argument(metavar="PAIRS.jsonl", help="Captioned photos of a dev split."),
    ],
    ms: Annotated[
        float, typer.Option(metavar="MS", min=0.001, help="Most milliseconds of each tower.")
    ],
    target: Annotated[
        str, typer.Option(help="Where they are measured: host (ONNX Runtime) or torch.")
    ] = HOST,
    tower: Annotated[
        Tower | None, typer.Option(help="Search this tower alone.  [default: both]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the result.  [default: runs/fit-CHECKPOINT]")
    ] = None,
    measure: Annotated[
        int, typer.Option(min=8, help="Shapes to measure before the search.")
    ] = Search().measured,
    population: Annotated[
        int, typer.Option(min=2, help="Shapes in each generation.")
    ] = Search().population,
    generations: Annotated[
        int, typer.Option(min=1, help="Generations of the search.")
    ] = Search().generations,
    photos: Annotated[
        int, typer.Option(min=2, help="Photos of the file to judge by, the first ones.")
    ] = Search().photos,
    per_layer: Annotated[
        bool, typer.Option("--per-layer", help="Choose heads and neurons for each layer.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Find the shape of a student that retrieves best within a number of milliseconds.

    Some shapes are measured on the target, a predictor is fitted to them, and an evolution
    over shapes near the target keeps those whose weights, inherited from the checkpoint
    without training, have the best recall. The best is measured before it is chosen.
    Rankings are most reliable when the checkpoint comes from a stage with an elastic section,
    whose smaller models were trained.

    OUT gets a checkpoint of the shape (student), a recipe to fine-tune it (recipe.yaml), and
    for each tower a plot of recall against milliseconds and the measurements, which a second
    run uses again: run it with more --generations, or after Ctrl-C.

    \b
    leanclip fit runs/elastic/student dev.jsonl --ms 5
    leanclip fit runs/elastic/student dev.jsonl --ms 2 --tower text --out runs/text-2ms
    leanclip fit teacher dev.jsonl --ms 8 --measure 12 --population 8 --generations 3
    """
    from retrieval.cli.fit_results import save_found, show
    from retrieval.cli.meters import meter_for, meters
    from retrieval.compress.elastic.extract import ordered
    from retrieval.compress.elastic.nesting import read_nesting
    from retrieval.compress.prune.meter import SteadyMeter
    from retrieval.corpora.pairs import read_pairs
    from retrieval.models.checkpoint import load_checkpoint

    settings = _settings(
        measured=measure,
        population=population,
        generations=generations,
        photos=photos,
        per_layer=per_layer or None,
        seed=seed,
    )
    meter = SteadyMeter(meter_for(target, meters()))
    captioned = read_pairs(pairs)
    loaded = load_checkpoint(checkpoint)
    folder = _place(checkpoint, out)
    source = ordered(
        loaded.model, read_nesting(loaded.metrics), None if tower is None else (tower,)
    )
    task = _Task(folder, loaded, source, captioned, settings, meter, target, ms)
    found = task.search(checkpoint)
    student, report = save_found(folder, loaded, source, found, meter, ms=ms, target=target)
    if as_json:
        print(json.dumps({"student": str(student), **report}))
        return
    show(found, target, ms)
    print(student)


def _place(checkpoint: Path, out: Path | None) -> Path:
    folder = out or Path("runs") / f"fit-{checkpoint.resolve().name}"
    if folder.resolve() == checkpoint.resolve() or (folder / "config.json").exists():
        raise CheckpointError(f"{folder} is a checkpoint; choose another --out")
    return folder


def _settings(**entries: Any) -> Search:
    from pydantic import ValidationError

    try:
        return Search.model_validate(entries)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(f"--{first['loc'][0]}: {first['msg']}") from error


@dataclass(frozen=True, eq=False)
class _Task:
    """What is searched, and what a shape has to keep within."""

    folder: Path
    loaded: Checkpoint
    source: Ordered
    pairs: Sequence[CaptionedPhoto]
    settings: Search
    meter: Meter
    target: str
    ms: float

    def search(self, checkpoint: Path) -> dict[Tower, Found]:
        """The shapes of each tower, and their plots.

        Args:
            checkpoint: As the user named it, for saying that it holds no smaller models.
        """
        from retrieval.cli.progress import StageProgress
        from retrieval.compress.fit.plot import plot_front
        from retrieval.compress.fit.search import make_search
        from retrieval.compress.fit.space import Space

        found: dict[Tower, Found] = {}
        with StageProgress() as progress:
            if not self.source.trained:
                progress.tell(
                    f"{checkpoint} has no smaller models that were trained: recall before "
                    "fine-tuning is low, and ranks shapes less reliably"
                )
            for side in self.source.towers:
                search = make_search(
                    self.source, Space(self.source, side, self.settings), self.settings,
                    self.loaded.tokenizer, self.pairs,
                    meter=self.meter, findings=self._findings(side), reporter=progress,
                )  # fmt: skip
                found[side] = search.run(self.ms)
                title = f"Shapes of the {side} tower, {self.target}, one thread"
                plot_front(self.folder / f"{side}.png", found[side], target=self.ms, title=title)
        return found

    def _findings(self, side: Tower) -> Findings:
        """Figures of earlier runs on the same checkpoint, machine and photos."""
        from retrieval.compress.fit.findings import Findings
        from retrieval.evaluate.latency import machine_name
        from retrieval.spec.files import sha256_json

        shapes = {
            "checkpoint": self.loaded.fingerprint,
            "tower": side,
            "space": self.settings.model_dump(mode="json", include=_SPACE),
        }
        photos = self.pairs[: self.settings.photos]
        judged = [[str(pair.image.resolve()), *pair.captions] for pair in photos]
        return Findings(
            self.folder / f"{side}.json",
            {
                "milliseconds": {**shapes, "target": self.target, "machine": machine_name()},
                "recall": {**shapes, "pairs": sha256_json(judged)},
            },
        )
