"""Measures a few real steps, each part of a run in a process of its own.

A process of its own begins with empty memory, as a run does; what is measured is
`retrieval.compress.runner.run_recipe` itself on a handful of photos.
"""

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar

import faiss
import numpy as np
import torch

from retrieval.compress.data.photos import PhotoViews
from retrieval.compress.distributed.group import own_device
from retrieval.compress.embed import embed_ids, embed_photos
from retrieval.compress.loop.log import LOG
from retrieval.compress.loop.reporter import SilentReporter
from retrieval.compress.plan.amounts import CAPTIONS_A_PHOTO
from retrieval.compress.plan.memory import (
    SavedBytes,
    counting_saved_bytes,
    peak_device_memory,
)
from retrieval.compress.plan.profiles import (
    Measured,
    StageProfile,
    StudentProfile,
    TeacherProfile,
)
from retrieval.compress.plan.sample import Sample
from retrieval.compress.plan.stand_ins import teacher_stand_in
from retrieval.compress.recipe import Data, Recipe, make_recipe
from retrieval.compress.runner import run_recipe, stage_name
from retrieval.compress.stages.settings import Distil, Finetune, Pretrain, Trained, TrainingStage
from retrieval.compress.teaching.bridge import Bridge
from retrieval.compress.teaching.teacher import Teacher, open_teacher
from retrieval.encode.batches import encode_photos, encode_sentences
from retrieval.evaluate.memory import peak_memory
from retrieval.models.checkpoint import load_checkpoint
from retrieval.models.dual_encoder import parameter_count
from retrieval.spec.files import size_of

STEPS: Final = 3
"""Of each measurement; the first one warms up and does not count."""
_EMBEDDED: Final = 32
_VIEWS: Final = 8
_SEARCHED: Final = (1024, 20_000)
_NEVER: Final = 1e9

_Job = TypeVar("_Job")
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class StageJob:
    """What a process needs to measure a stage.

    Attributes:
        recipe: With a student and teachers that stand in.
        number: Of the stage.
        sample: Enough photos for the largest batch.
        teacher_dims: Numbers in an embedding of each teacher.
        folder: To work in.
    """

    recipe: Recipe
    number: int
    sample: Sample
    teacher_dims: tuple[int, ...]
    folder: Path


def batches_of(stage: Trained) -> tuple[int, ...]:
    """The batch sizes to measure a stage with; small, so that memory is never the trouble."""
    sizes = (4, 12) if "image" in stage.towers else (16, 64)
    if torch.cuda.is_available():
        sizes = (4 * sizes[0], 4 * sizes[1])
    wanted = stage.training.batch_size
    return sizes if wanted >= sizes[-1] else (wanted,)


def photos_of(stage: Trained, batch: int) -> int:
    """Photos of a sample on which an epoch has `STEPS` steps of this batch."""
    if isinstance(stage, Distil) and stage.tower == "text":
        return max(2, -(-STEPS * batch // CAPTIONS_A_PHOTO))
    return STEPS * batch


def alone(function: Callable[[_Job], _Found], job: _Job) -> _Found:
    """Run a function in a new process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, job).result()


@dataclass(frozen=True)
class TeacherJob:
    """What a process needs to measure a teacher.

    Attributes:
        source: As the recipe names it.
        folder: For a stand-in, where one is needed.
        sample: To embed.
    """

    source: str
    folder: Path
    sample: Sample


def measure_teacher(job: TeacherJob) -> TeacherProfile:
    """Embed photos and sentences as the cache of a run does."""
    source = teacher_stand_in(job.source, job.folder)
    encoder = open_teacher(source)
    photos, sentences = list(job.sample.photos), list(job.sample.sentences)
    encode_photos(encoder, photos[:1])
    return TeacherProfile(
        source=source,
        stands_in=source != job.source,
        dim=encoder.dim,
        parameters=_parameters(encoder),
        seconds_per_photo=_each(_EMBEDDED, lambda some: encode_photos(encoder, some), photos),
        seconds_per_sentence=_each(
            _EMBEDDED, lambda some: encode_sentences(encoder, some), sentences
        ),
        memory=peak_memory(),
    )


@dataclass(frozen=True)
class StudentJob:
    """What a process needs to measure a student."""

    checkpoint: Path
    stage: Trained
    """Gives the random views."""
    sample: Sample


def measure_student(job: StudentJob) -> StudentProfile:
    """Embed as evaluation and mining do, load views, and search."""
    loaded = load_checkpoint(job.checkpoint)
    model = loaded.model.to(own_device()).eval()
    photos, sentences = list(job.sample.photos), list(job.sample.sentences)
    ids = loaded.tokenizer.batch(sentences[:_EMBEDDED])
    training = job.stage.training
    views = PhotoViews(photos, model.config.preprocessing, training.augmentation, seed=0)
    workers = training.loader_workers
    embed_photos(model, photos[:1], workers=workers)
    embed_ids(model, ids[:1])
    return StudentProfile(
        parameters={
            "image": parameter_count(model.image),
            "text": parameter_count(model.text),
        },
        seconds_per_photo=_each(
            _EMBEDDED, lambda some: embed_photos(model, some, workers=workers), photos
        ),
        seconds_per_sentence=_each(_EMBEDDED, lambda some: embed_ids(model, some), ids),
        seconds_per_view=_each(
            _VIEWS,
            lambda some: [views[0, number] for number in some],
            range(len(photos)),
        ),
        products_per_second=_products_per_second(model.config.embedding_dim),
    )


def measure_stage(job: StageJob) -> StageProfile:
    """Run the stage on the sample, once for each batch size."""
    stage = job.recipe.stages[job.number]
    assert isinstance(stage, TrainingStage)
    measured, size = [], 0
    for batch in batches_of(stage):
        # One that is gone before the next begins: checkpoints are large.
        with TemporaryDirectory(dir=job.folder) as place:
            one, size = _run(job, stage, batch, Path(place))
        measured.append(one)
    return StageProfile(tuple(measured), size)


class _StepWatch(SilentReporter):
    """Tells the count of saved bytes when a step has ended."""

    def __init__(self, saved: SavedBytes) -> None:
        self.saved = saved

    def advance(self, done: int, total: int | None = None, note: str = "") -> None:
        self.saved.next_step()


def _run(job: StageJob, stage: Trained, batch: int, place: Path) -> tuple[Measured, int]:
    pairs = job.sample.write_pairs(place / "pairs.jsonl", photos_of(stage, batch))
    short_epoch = {"epochs": 1, "batch_size": batch, "accumulation": 1, "patience": None}
    training = stage.training.model_copy(update={**short_epoch, "save_every_seconds": _NEVER})
    short = stage.model_copy(update={"training": training, "prune": None})
    captions = (pairs,) if isinstance(stage, Pretrain) else ()
    data = Data(pairs=(pairs,), captions=captions, reinforcement=job.recipe.data.reinforcement)
    shortened = job.recipe.model_copy(update={"data": data, "stages": (short,)})
    # Made anew, so that its stages are named and hashed as those of any recipe.
    value = shortened.model_dump(mode="json")
    recipe = make_recipe(value, origin=job.recipe.name, base=Path.cwd())
    folder = place / "run"
    if isinstance(stage, Finetune):
        _write_bridges(job, place, folder)
    with counting_saved_bytes() as saved:
        run_recipe(recipe, folder, reporter=_StepWatch(saved))
    finished = folder / stage_name(recipe, 0)
    entries = [json.loads(line) for line in (finished / LOG).read_text("utf-8").splitlines()]
    seconds = [entry["seconds"] for entry in entries if "seconds" in entry]
    found = Measured(
        batch, tuple(seconds[1:] or seconds), saved.most, peak_memory(), peak_device_memory()
    )
    return found, size_of(finished)


def _write_bridges(job: StageJob, place: Path, folder: Path) -> None:
    """What an earlier stage would have left for a student of another width than its teacher."""
    own = job.recipe.student.embedding_dim
    folder.mkdir()
    for source, dim in zip(job.recipe.teachers, job.teacher_dims, strict=True):
        fingerprint = Teacher(source, place / "teacher-cache", SilentReporter()).fingerprint
        if own != dim:
            Bridge(own, dim).save(folder / f"bridge-{fingerprint[:12]}.safetensors")


def _each(count: int, work: Callable[[Any], object], items: Sequence[Any] | Any) -> float:
    """Seconds for one of ``count`` items, all of them at once."""
    some = items[:count]
    started = time.perf_counter()
    work(some)
    return (time.perf_counter() - started) / len(some)


def _products_per_second(dim: int) -> float:
    generator = np.random.default_rng(0)
    queries, candidates = (generator.random((n, dim), np.float32) for n in _SEARCHED)
    index = faiss.IndexFlatIP(dim)
    index.add(candidates)
    started = time.perf_counter()
    index.search(queries, 128)
    return queries.size * len(candidates) / (time.perf_counter() - started)


def _parameters(encoder: Any) -> int:
    checkpoint = getattr(encoder, "checkpoint", None)
    return 0 if checkpoint is None else parameter_count(checkpoint.model)


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
