"""Runs a recipe: each stage once, a checkpoint after each, resumable between and within."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from retrieval.compress.distributed.ranks import after_first, from_first, rank
from retrieval.compress.distributed.requirements import require_even_parts
from retrieval.compress.elastic.modifier import ElasticModifier
from retrieval.compress.judge import Judge
from retrieval.compress.loop.log import LOG
from retrieval.compress.loop.loop import Loop
from retrieval.compress.loop.memory import keep_freed_memory
from retrieval.compress.loop.modifier import Modifier
from retrieval.compress.loop.reporter import Reporter, SilentReporter
from retrieval.compress.measure import measure
from retrieval.compress.prune.meter import Meter
from retrieval.compress.prune.pruner import Pruner
from retrieval.compress.quantise.quantiser import Quantiser
from retrieval.compress.recipe import Recipe
from retrieval.compress.stages.average import average_weights
from retrieval.compress.stages.distil import DistilTask
from retrieval.compress.stages.factorise import factorise_towers
from retrieval.compress.stages.make import Workshop
from retrieval.compress.stages.settings import Average, Factorise, Stage, TrainingStage
from retrieval.compress.start.frozen import freeze
from retrieval.compress.student import make_student
from retrieval.compress.teaching.materials import Materials
from retrieval.compress.teaching.teacher import Captioned, Teacher
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.checkpoint import (
    METRICS,
    load_checkpoint,
    save_checkpoint,
    stored_fingerprint,
)
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.sparse.file import round_as_stored
from retrieval.spec.files import replacing_folder, sha256_json
from retrieval.spec.quantisation import without_grid

FINAL = "student"
_PIXELS = ".pixels"


def run_recipe(
    recipe: Recipe,
    folder: Path,
    *,
    reporter: Reporter | None = None,
    meters: Mapping[str, Meter] | None = None,
) -> Path:
    """Run every stage that is not done yet.

    In a process group all processes call it alike; the first one writes everything.

    Args:
        recipe: What to do.
        folder: Gets a checkpoint folder per stage, ``student`` (the last of them), the
            training logs, and while a stage runs its state.
        reporter: Told of progress by the first process.
        meters: Measure the milliseconds of pruning budgets, by target; by default PyTorch on
            this machine, as ``host``.

    Returns:
        The folder of the finished student.

    Raises:
        RecipeError: The recipe cannot work with its data or teacher.
        TrainingError: A loss is not finite.
        LeanclipError: Data, teacher or cache are missing or damaged.
    """
    keep_freed_memory()
    require_even_parts(recipe)
    if reporter is None or rank():
        reporter = SilentReporter()
    return _Run(recipe, folder, reporter, meters).run()


def stage_metrics(recipe: Recipe, folder: Path) -> list[dict[str, Any]]:
    """What was measured after each stage of a finished run, in order."""
    names = [stage_name(recipe, number) for number in range(len(recipe.stages))]
    return [json.loads((folder / name / METRICS).read_text("utf-8")) for name in names]


def stage_name(recipe: Recipe, number: int) -> str:
    """Name of a stage's folder, ``1-distil-image`` and the like; ``number`` counts from 0."""
    stage = recipe.stages[number]
    return "-".join([str(number + 1), stage.kind, *stage.towers])


class _Run:
    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        reporter: Reporter,
        meters: Mapping[str, Meter] | None,
    ) -> None:
        self.recipe = recipe
        self.folder = folder
        self.reporter = reporter
        self.meters = meters
        caches = folder.parent / "teacher-cache"
        self.teachers = [Teacher(source, caches, reporter) for source in recipe.teachers]
        self.materials = [Materials(recipe.data, one) for one in self.teachers or [None]]

    def run(self) -> Path:
        keys = self._stage_keys()
        names = [stage_name(self.recipe, number) for number in range(len(keys))]
        done = from_first(lambda: self._done(names, keys))
        if done:
            self.reporter.tell(f"{self.folder / names[done - 1]} is up to date")
        if done < len(keys):
            model, tokenizer = self._student_after(names[done - 1] if done else None)
            for number in range(done, len(keys)):
                self._run_stage(number, names[number], keys[number], model, tokenizer)
        return from_first(lambda: self._publish(names[-1], keys[-1]))

    def _done(self, names: list[str], keys: list[str]) -> int:
        """How many stages earlier runs have finished."""
        done = 0
        while done < len(keys) and _key(self.folder / names[done]) == keys[done]:
            done += 1
        return done

    def _student_after(self, name: str | None) -> tuple[DualEncoder, Tokenizer]:
        if name is None:
            self.reporter.tell("making the student")
            # The first process may have weights to download.
            return after_first(lambda: make_student(self.recipe))
        checkpoint = load_checkpoint(self.folder / name)
        return checkpoint.model, checkpoint.tokenizer

    def _run_stage(
        self, number: int, name: str, key: str, model: DualEncoder, tokenizer: Tokenizer
    ) -> None:
        stage = self.recipe.stages[number]
        if isinstance(stage, Factorise):
            figures = factorise_towers(stage, model)
        elif isinstance(stage, Average):
            figures = average_weights(stage, model)
        else:
            figures = self._train(stage, number, name, key, model, tokenizer)
        # The next stage and the figures belong to what is stored, not to what was.
        round_as_stored(model, self.recipe.stored_as)
        dev = self.materials[0].dev()

        def store() -> None:
            measured = _measure(model, tokenizer, dev)
            metrics = {"stage": name, "key": key, **figures, **measured}
            self._store(name, model, tokenizer, metrics)

        from_first(store)

    def _store(
        self, name: str, model: DualEncoder, tokenizer: Tokenizer, metrics: Mapping[str, Any]
    ) -> None:
        """Write the checkpoint of a stage; its state is not needed any more."""
        save_checkpoint(
            self.folder / name,
            model,
            tokenizer,
            metrics=metrics,
            recipe=self.recipe.as_written,
            storage=self.recipe.stored_as,
        )
        work = self._work(name)
        if work.exists():
            shutil.copy(work / LOG, self.folder / name / LOG)
            shutil.rmtree(work)

    def _train(
        self,
        stage: TrainingStage,
        number: int,
        name: str,
        key: str,
        model: DualEncoder,
        tokenizer: Tokenizer,
    ) -> Mapping[str, Any]:
        """Run the loop of a stage; figures of what it kept and what its modifiers did."""
        seed = self.recipe.seed + number
        # Whether earlier stages ran in this process or in one before must change nothing.
        torch.manual_seed(seed)
        model.requires_grad_(True)
        # Weights that move leave the grid that an earlier stage trained them on.
        model.config = without_grid(model.config, stage.towers)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        bridges = [
            self.folder / f"bridge-{one.fingerprint[:12]}.safetensors" for one in self.teachers
        ]
        workshop = Workshop(
            model,
            tokenizer,
            self.materials,
            bridges,
            pixels=self.folder / _PIXELS,
            reporter=self.reporter,
            seed=self.recipe.seed,
        )
        task = workshop.make(stage)
        freeze(task, self.recipe.student.frozen)
        loop = Loop(
            task,
            self._work(name),
            modifiers=self._modifiers(stage, tokenizer),
            key=key,
            title=name,
            seed=seed,
            reporter=self.reporter,
        )
        figures = loop.run()
        model.cpu().eval()
        if isinstance(task, DistilTask) and not rank():
            for bridge, path in zip(task.bridges, bridges, strict=True):
                bridge.cpu().save(path)
        return figures

    def _work(self, name: str) -> Path:
        """Where the state of a stage lies while it runs."""
        return self.folder / f".{name}"

    def _modifiers(self, stage: TrainingStage, tokenizer: Tokenizer) -> list[Modifier]:
        """What changes the model while the stage trains it."""
        if stage.prune is not None:
            return [Pruner(stage.prune, tokenizer, meters=self.meters)]
        if stage.quantise is not None:
            return [Quantiser(stage.quantise)]
        if stage.elastic is not None:
            return [ElasticModifier(stage.elastic)]
        return []

    def _stage_keys(self) -> list[str]:
        """Hash of all that a stage's result depends on, for each stage."""
        recipe = dict(self.recipe.validated)
        written = recipe.pop("stages")
        stages = [
            _with_contents(stage, entry)
            for stage, entry in zip(self.recipe.stages, written, strict=True)
        ]
        parts = {"recipe": recipe, "teachers": [one.fingerprint for one in self.teachers]}
        return [
            sha256_json({**parts, "stages": stages[: number + 1]}) for number in range(len(stages))
        ]

    def _publish(self, name: str, key: str) -> Path:
        final = self.folder / FINAL
        if _key(final) != key:
            with replacing_folder(final) as temporary:
                shutil.copytree(self.folder / name, temporary, dirs_exist_ok=True)
        shutil.rmtree(self.folder / _PIXELS, ignore_errors=True)
        return final


def _with_contents(stage: Stage, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """A stage's entry and what the checkpoints hold that it names.

    One that is missing is noticed here, before hours of training go by.
    """
    if not isinstance(stage, Average):
        return entry
    found = from_first(lambda: [stored_fingerprint(path) for path in stage.checkpoints])
    return {**entry, "fingerprints": found}


def _measure(model: DualEncoder, tokenizer: Tokenizer, dev: Captioned | None) -> Mapping[str, Any]:
    """Recall, size and speed of a finished stage."""
    figures = Judge(model, tokenizer, dev, workers=2).student()
    recall = {key: value for key, value in figures.items() if key != "score"}
    return {"dev": recall, **measure(model, tokenizer)}


def _key(checkpoint: Path) -> str | None:
    """The stage key that a finished checkpoint was written with; None if there is none."""
    try:
        key: str | None = json.loads((checkpoint / METRICS).read_text("utf-8")).get("key")
    except (OSError, ValueError, AttributeError):
        return None
    return key
