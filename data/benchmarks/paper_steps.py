"""Runs every recipe of the paper's setting for a few steps: shapes, memory, pace, resume.

The teacher has open_clip's real architecture and the student its real one, both with random
weights, on generated photos of the data set's size. Each recipe runs all its stages through
``leanclip compress``'s own runner, in a process of its own. The first stage is interrupted
after its first step and run again: its log must then hold every step once. The table goes into
``docs/paper.md`` too, unless the result is written elsewhere. What this cannot
show is recall: nothing is learned in two steps from noise.

    python data/benchmarks/paper_steps.py
    python data/benchmarks/paper_steps.py --only coco-vit --steps 2 --batch 4
"""

import json
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from figures import HERE, REPOSITORY, stamp, with_table, write_figures

from retrieval.compress.loop.log import LOG
from retrieval.compress.loop.reporter import SilentReporter
from retrieval.compress.plan.amounts import count
from retrieval.compress.plan.measure import alone
from retrieval.compress.plan.sample import Sample, make_sample
from retrieval.compress.plan.stand_ins import student_stand_in, teacher_stand_in
from retrieval.compress.recipe import Data, Recipe, load_recipe, make_recipe
from retrieval.compress.runner import FINAL, run_recipe, stage_name
from retrieval.compress.stages.settings import Factorise
from retrieval.evaluate.memory import peak_memory
from retrieval.models.checkpoint import METRICS, load_checkpoint
from retrieval.spec.errors import LeanclipError
from retrieval.spec.files import size_of, write_text

PACKAGES = ("leanclip", "torch", "timm", "open_clip_torch", "numpy", "pillow")
OUT = HERE / "paper_steps"
PAGE = REPOSITORY / "docs" / "paper.md"
RECIPES = REPOSITORY / "data" / "recipes" / "paper"
INTERRUPTED_AFTER = 1


@dataclass(frozen=True)
class Job:
    """One recipe to run in a process of its own."""

    path: Path
    teacher: Path
    """Stands in for the recipe's."""
    steps: int
    batch: int


class InterruptOnce(SilentReporter):
    """Presses Ctrl-C after the first step of the first stage."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.inside = False
        self.pressed = False

    def begin(self, title: str, total: int, done: int = 0) -> None:
        """Remember which piece of work it is."""
        self.inside = title == self.stage

    def advance(self, done: int, total: int | None = None, note: str = "") -> None:
        """Interrupt, once."""
        if self.inside and done == INTERRUPTED_AFTER and not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)


def main(
    only: Annotated[list[str] | None, typer.Option(help="Recipe to run; else all.")] = None,
    steps: Annotated[int, typer.Option(min=2, help="Steps of each stage.")] = 2,
    batch: Annotated[int, typer.Option(min=2, help="Batch size of each stage.")] = 4,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = OUT,
) -> None:
    """Run the recipes and write what was seen."""
    paths = [RECIPES / f"{name}.yaml" for name in only] if only else sorted(RECIPES.glob("*.yaml"))
    stamped = stamp(
        threads=f"{torch.get_num_threads()} for PyTorch",
        statistic=f"seconds of each of {steps} steps with a batch of {batch}; the first of a stage "
        "warms up",
        packages=PACKAGES,
    )
    results: dict[str, dict[str, Any]] = {}
    raw: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="leanclip-benchmark-") as temporary:
        for path in paths:
            typer.echo(f"running {path.stem}", err=True)
            teacher = Path(temporary, load_recipe(path).teachers[0].replace("/", "-"))
            if not teacher.exists():
                # In a process of its own: making it takes twice its memory.
                alone(make_teacher, Job(path, teacher, steps, batch))
            results[path.stem], rows = alone(run, Job(path, teacher, steps, batch))
            raw += rows
    write_figures(out, stamped=stamped, results=results, raw=raw)
    if out == OUT:
        write_text(PAGE, filled(PAGE.read_text("utf-8"), stamped, results))
    typer.echo(table(results))


def filled(page: str, stamped: dict[str, Any], results: dict[str, Any]) -> str:
    """The page with the table between its two marks."""
    where = f"{stamped['machine']}, {stamped['date'][:10]}; {stamped['threads']}; "
    return with_table(page, "paper_steps", f"{table(results)}\n\n{where}{stamped['statistic']}.")


def table(results: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        "| recipe | parameters (image + text) | checkpoint | photos/s, stage 1 "
        "| captions/s, stage 1 | peak memory | resumed |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, found in results.items():
        image, text = (found["parameters"][tower] / 1e6 for tower in ("image", "text"))
        pace = found["items_per_second"]
        photos, captions = pace["1-distil-image"], pace["2-distil-text"]
        lines.append(
            f"| {name} | {image:.1f} M + {text:.1f} M | {found['checkpoint_bytes'] / 1e6:.0f} MB "
            f"| {photos:.1f} | {captions:.1f} | {found['peak_memory_bytes'] / 1e9:.1f} GB "
            f"| {'yes' if found['resumed'] else 'no'} |"
        )
    return "\n".join(lines)


def make_teacher(job: Job) -> None:
    """Write a checkpoint of the teacher's architecture with random weights."""
    teacher_stand_in(load_recipe(job.path).teachers[0], job.teacher)


def run(job: Job) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """All stages of one recipe; what they came to, and every step."""
    recipe = load_recipe(job.path)
    with tempfile.TemporaryDirectory(prefix="leanclip-benchmark-") as temporary:
        work = Path(temporary)
        sample = make_sample(count(recipe.data, 0), work / "photos", job.steps * job.batch)
        short = shortened(recipe, job, sample, work)
        first = stage_name(short, 0)
        folder = work / "run"
        watch = InterruptOnce(first)
        try:
            run_recipe(short, folder, reporter=watch)
        except KeyboardInterrupt:
            # As asked for; the second call goes on after the step that was finished.
            run_recipe(short, folder, reporter=watch)
        rows = [row for number in range(len(short.stages)) for row in logged(short, number, folder)]
        taken = [row["step"] for row in rows if row["stage"] == first]
        resumed = watch.pressed and taken == list(range(1, len(taken) + 1))
        loaded = load_checkpoint(folder / FINAL)
        metrics = json.loads((folder / FINAL / METRICS).read_text("utf-8"))
        result = {
            "teacher": recipe.teachers[0],
            "input": loaded.config.preprocessing.size,
            "embedding_dim": loaded.config.embedding_dim,
            "vocabulary": loaded.config.tokens.vocabulary_size,
            "context_length": loaded.config.tokens.context_length,
            "parameters": metrics["parameters"],
            "ms_per_photo": metrics["torch_ms_per_photo"],
            "ms_per_sentence": metrics["torch_ms_per_sentence"],
            "checkpoint_bytes": size_of(folder / FINAL),
            "items_per_second": pace(rows),
            "peak_memory_bytes": peak_memory(),
            "resumed": resumed,
        }
    return result, [{"recipe": job.path.stem, **row} for row in rows]


def shortened(recipe: Recipe, job: Job, sample: Sample, work: Path) -> Recipe:
    """The recipe with stand-ins, the sample, and few steps."""
    student = student_stand_in(recipe, work / "student")
    pairs = sample.write_pairs(work / "pairs.jsonl", job.steps * job.batch)
    stages = []
    for stage in recipe.stages:
        assert not isinstance(stage, Factorise)
        # Stage 1 of the text tower goes over all captions, five times as many.
        many = 5 if stage.kind == "distil" and stage.towers == ("text",) else 1
        changed = {"epochs": 1, "batch_size": many * job.batch}
        training = stage.training.model_copy(update=changed)
        stages.append(stage.model_copy(update={"training": training}))
    changes = {
        "teacher": str(job.teacher),
        "student": student,
        "data": Data(pairs=(pairs,)),
        "stages": tuple(stages),
    }
    value = recipe.model_copy(update=changes).model_dump(mode="json")
    return make_recipe(value, origin=str(job.path), base=work)


def logged(recipe: Recipe, number: int, folder: Path) -> list[dict[str, Any]]:
    """Every step of a stage."""
    name = stage_name(recipe, number)
    entries = [json.loads(line) for line in (folder / name / LOG).read_text("utf-8").splitlines()]
    stage = recipe.stages[number]
    assert not isinstance(stage, Factorise)
    return [
        {
            "stage": name,
            "step": entry["step"],
            "batch": stage.training.batch_size,
            "loss": entry["loss"],
            "seconds": entry["seconds"],
        }
        for entry in entries
        if "seconds" in entry
    ]


def pace(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Items a second of each stage, its first step left out."""
    found = {}
    for stage in dict.fromkeys(row["stage"] for row in rows):
        timed = [row for row in rows if row["stage"] == stage][1:]
        found[stage] = sum(row["batch"] for row in timed) / sum(row["seconds"] for row in timed)
    return found


if __name__ == "__main__":
    try:
        typer.run(main)
    except LeanclipError as error:
        sys.exit(f"paper_steps: {error}")
