"""Runs a recipe: each stage once, a checkpoint after each, resumable between and within."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from retrieval.compress.bridge import Bridge
from retrieval.compress.data.inputs import PhotoInputs, SentenceInputs
from retrieval.compress.data.photos import may_mirror
from retrieval.compress.embed import embed_ids, embed_photos
from retrieval.compress.judge import Judge
from retrieval.compress.loop import LOG, Loop
from retrieval.compress.measure import measure
from retrieval.compress.recipe import Distil, Finetune, Recipe
from retrieval.compress.reporter import Reporter, SilentReporter
from retrieval.compress.stages.distil import DistilTask
from retrieval.compress.stages.finetune import Embedders, FinetuneTask, Pairs
from retrieval.compress.student import make_student
from retrieval.compress.task import Task
from retrieval.compress.teacher import Captioned, Teacher, read_captioned
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.checkpoint import METRICS, load_checkpoint, save_checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.errors import RecipeError
from retrieval.spec.files import sha256_json

FINAL = "student"
_BRIDGE = "bridge.safetensors"


def run_recipe(recipe: Recipe, folder: Path, *, reporter: Reporter | None = None) -> Path:
    """Run every stage that is not done yet.

    Args:
        recipe: What to do.
        folder: Gets a checkpoint folder per stage, ``student`` (the last of them), the
            training logs, and while a stage runs its state.
        reporter: Told of progress.

    Returns:
        The folder of the finished student.

    Raises:
        RecipeError: The recipe cannot work with its data or teacher.
        TrainingError: A loss is not finite.
        LeanclipError: Data, teacher or cache are missing or damaged.
    """
    return _Run(recipe, folder, reporter or SilentReporter()).run()


def stage_metrics(folder: Path) -> list[dict[str, Any]]:
    """What was measured after each finished stage of a run, in order."""
    found = list(folder.glob(f"[0-9]*-*/{METRICS}"))
    found.sort(key=lambda path: int(path.parent.name.partition("-")[0]))
    return [json.loads(path.read_text("utf-8")) for path in found]


class _Run:
    def __init__(self, recipe: Recipe, folder: Path, reporter: Reporter) -> None:
        self.recipe = recipe
        self.folder = folder
        self.reporter = reporter
        self.teacher = None
        if recipe.teacher is not None:
            self.teacher = Teacher(recipe.teacher, folder.parent / "teacher-cache", reporter)
        self._captioned: dict[tuple[Path, ...], Captioned] = {}

    def run(self) -> Path:
        keys = self._stage_keys()
        names = [self.stage_name(number) for number in range(len(keys))]
        done = 0
        while done < len(keys) and self._is_done(names[done], keys[done]):
            done += 1
        if done == len(keys):
            self.reporter.tell(f"{self.folder / FINAL} is up to date")
            return self._publish(names[-1])
        if done:
            self.reporter.tell(f"{self.folder / names[done - 1]} is up to date")
            checkpoint = load_checkpoint(self.folder / names[done - 1])
            model, tokenizer = checkpoint.model, checkpoint.tokenizer
        else:
            self.reporter.tell("making the student")
            model, tokenizer = make_student(self.recipe)
        for number in range(done, len(keys)):
            self._run_stage(number, names[number], keys[number], model, tokenizer)
        return self._publish(names[-1])

    def stage_name(self, number: int) -> str:
        """``1-distil-image`` and the like."""
        stage = self.recipe.stages[number]
        towers = stage.tower if isinstance(stage, Distil) else "-".join(stage.towers)
        return f"{number + 1}-{stage.stage}-{towers}"

    def _run_stage(
        self, number: int, name: str, key: str, model: DualEncoder, tokenizer: Tokenizer
    ) -> None:
        work = self.folder / f".{name}"
        stage = self.recipe.stages[number]
        workers = stage.training.loader_workers
        judge = Judge(model, tokenizer, self._dev(), workers=workers)
        model.requires_grad_(True)
        model.to(memory_format=torch.channels_last)
        bridge = None
        task: Task
        if isinstance(stage, Distil):
            bridge = self._bridge(stage, model)
            task = self._distil(stage, model, tokenizer, bridge, judge)
        else:
            task = self._finetune(stage, model, tokenizer, judge)
        seed = self.recipe.seed + number
        loop = Loop(task, work, key=key, title=name, seed=seed, reporter=self.reporter)
        best = loop.run()
        model.cpu().eval()
        if bridge is not None:
            bridge.cpu().save(self.folder / _BRIDGE)
        metrics = {"stage": name, "key": key, "best_epoch": best, **self._measure(model, tokenizer)}
        save_checkpoint(
            self.folder / name,
            model,
            tokenizer,
            metrics=metrics,
            recipe=self.recipe.as_written,
            half=self.recipe.stored_as == "fp16",
        )
        shutil.copy(work / LOG, self.folder / name / LOG)
        shutil.rmtree(work)

    def _distil(
        self,
        stage: Distil,
        model: DualEncoder,
        tokenizer: Tokenizer,
        bridge: Bridge,
        judge: Judge,
    ) -> DistilTask:
        data = self.recipe.data
        assert self.teacher is not None
        pairs = self._pairs() if data.pairs else None
        if stage.tower == "image":
            photos, targets = self.teacher.photos(data.photos)
            mirror = [True] * len(photos)
            if pairs is not None and pairs.images is not None:
                photos = photos + pairs.photos
                mirror += _mirrors(pairs)
                targets = torch.cat([targets, pairs.images])
            inputs = PhotoInputs(
                photos, model, stage.training, seed=self.recipe.seed, mirror=mirror
            )  # fmt: skip
            return DistilTask(
                stage, model, bridge, inputs, targets, lambda: judge.image_tower(bridge)
            )
        sentences, targets = self.teacher.sentences(data.sentences)
        if pairs is not None and pairs.texts is not None:
            sentences = sentences + pairs.sentences
            targets = torch.cat([targets, pairs.texts])
        ids = tokenizer.batch(sentences)
        return DistilTask(
            stage,
            model,
            bridge,
            SentenceInputs(ids, tokenizer, stage.training, seed=self.recipe.seed),
            targets,
            lambda: judge.text_tower(bridge),
        )

    def _finetune(
        self, stage: Finetune, model: DualEncoder, tokenizer: Tokenizer, judge: Judge
    ) -> FinetuneTask:
        corpus = self._pairs()
        ids = tokenizer.batch(corpus.sentences)
        workers = stage.training.loader_workers
        views = PhotoInputs(
            corpus.photos, model, stage.training, seed=self.recipe.seed, mirror=_mirrors(corpus)
        )
        pairs = Pairs(views, ids, corpus.photo_of_sentence, corpus.images, corpus.texts)
        embedders = Embedders(
            photos=lambda: embed_photos(model, corpus.photos, workers=workers),
            captions=lambda: embed_ids(model, ids),
        )
        return FinetuneTask(
            stage, model, tokenizer, pairs, embedders, judge.student, seed=self.recipe.seed
        )

    def _bridge(self, stage: Distil, model: DualEncoder) -> Bridge:
        """The bridge of an earlier stage of this run, or a new one to be learned."""
        assert self.teacher is not None
        bridge = Bridge(model.config.embedding_dim, self.teacher.encoder.dim)
        first = next(one for one in self.recipe.stages if isinstance(one, Distil))
        if stage is not first:
            bridge.load(self.folder / _BRIDGE)
        elif self.recipe.data.pairs:
            pairs = self._pairs()
            assert pairs.images is not None
            assert pairs.texts is not None
            bridge.start_from_principal_directions(torch.cat([pairs.images, pairs.texts]))
        return bridge

    def _pairs(self) -> Captioned:
        return self._load(self.recipe.data.pairs)

    def _dev(self) -> Captioned | None:
        dev = self.recipe.data.dev
        return None if dev is None else self._load((dev,))

    def _load(self, files: tuple[Path, ...]) -> Captioned:
        if files not in self._captioned:
            teacher = self.teacher
            found = read_captioned(files) if teacher is None else teacher.captioned(files)
            if len(found.photos) < 2:
                raise RecipeError(f"{files[0]}: one photo is not enough to contrast with others")
            self._captioned[files] = found
        return self._captioned[files]

    def _measure(self, model: DualEncoder, tokenizer: Tokenizer) -> Mapping[str, Any]:
        judge = Judge(model, tokenizer, self._dev(), workers=2)
        dev = {key: value for key, value in judge.student().items() if key != "score"}
        return {"dev": dev, **measure(model, tokenizer)}

    def _stage_keys(self) -> list[str]:
        """Hash of all that a stage's result depends on, for each stage."""
        recipe = dict(self.recipe.validated)
        stages = recipe.pop("stages")
        teacher = None if self.teacher is None else self.teacher.encoder.fingerprint
        parts = {"recipe": recipe, "teacher": teacher}
        return [
            sha256_json({**parts, "stages": stages[: number + 1]}) for number in range(len(stages))
        ]

    def _is_done(self, name: str, key: str) -> bool:
        metrics = self.folder / name / METRICS
        try:
            return bool(json.loads(metrics.read_text("utf-8")).get("key") == key)
        except (OSError, ValueError):
            return False

    def _publish(self, name: str) -> Path:
        final = self.folder / FINAL
        if final.is_dir():
            shutil.rmtree(final)
        shutil.copytree(self.folder / name, final)
        return final


def _mirrors(pairs: Captioned) -> list[bool]:
    captions: list[list[str]] = [[] for _ in pairs.photos]
    for sentence, owner in zip(pairs.sentences, pairs.photo_of_sentence, strict=True):
        captions[owner].append(sentence)
    return [may_mirror(one) for one in captions]
