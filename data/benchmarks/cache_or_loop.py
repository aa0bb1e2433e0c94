"""Stage 1 from the teacher cache, against the teacher in the loop: samples per second.

Both sides train the student of the recipe's stage 1 for one epoch with leanclip's own loop,
from retrieval.spec.tower import Tower
from the same start, on the same batches, losses and precision; they take turns. The cached
side looks the teacher's embeddings up. The other side computes them from each batch before
the step. For photos it takes the cheaper of the two ways there are: the teacher gets the
views that were decoded for the student, resized to its own input, and decodes nothing
itself. What the cache costs once is measured too.

A rate is samples over the seconds of all steps of an epoch, reading of inputs included.
The student starts from random weights, which run as fast as trained ones.

    python data/benchmarks/cache_or_loop.py
    python data/benchmarks/cache_or_loop.py --photos FOLDER --sentences FILE.txt --repeats 5
"""

import copy
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
import typer
from figures import HERE, PHOTOS, REPOSITORY, stamp, summary, write_figures
from torch import Tensor

from retrieval.compress.data.inputs import Inputs, PhotoInputs, SentenceInputs
from retrieval.compress.loop.log import LOG
from retrieval.compress.loop.loop import Loop
from retrieval.compress.loop.reporter import SilentReporter
from retrieval.compress.recipe import Recipe, load_recipe
from retrieval.compress.scenes import write_scenes
from retrieval.compress.stages.distil import DistilTask
from retrieval.compress.stages.lessons import Lesson
from retrieval.compress.stages.settings import Distil
from retrieval.compress.teaching.bridge import Bridge
from retrieval.compress.teaching.targets import Targets
from retrieval.compress.teaching.teacher import Teacher
from retrieval.corpora.sentences import read_sentences
from retrieval.encode.protocol import Encoder
from retrieval.encode.torch import TorchEncoder
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.checkpoint import load_checkpoint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.errors import LeanclipError, RecipeError
from retrieval.spec.tower import Tower

PACKAGES = ("leanclip", "torch", "timm", "lightning-fabric", "numpy", "pillow")
CACHE, IN_LOOP = "cache", "teacher in the loop"
SCENE_SIZE = 320

Embed = Callable[[Tensor, Tensor], Tensor]
"""Teacher embeddings ``(batch, dim)`` of a batch, from its indices and its inputs."""


class TeacherInLoop(DistilTask):
    """Stage 1 that asks the teacher about every batch instead of looking it up."""

    embed: Embed

    def forward(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        indices, inputs = batch
        embeddings = self.targets[0].embeddings
        embeddings[indices] = self.embed(indices, inputs).to(embeddings)
        return super().forward(batch)


@dataclass
class Side:
    """What both ways of training one tower have in common."""

    tower: Tower
    stage: Distil
    items: int
    targets: Tensor
    inputs: Callable[[DualEncoder], Inputs]
    embed: Embed
    cache_seconds: float


def main(
    teacher: Annotated[Path, typer.Option(help="Checkpoint folder.")] = (
        REPOSITORY / "data" / "teacher"
    ),
    recipe: Annotated[Path, typer.Option(help="Gives the student and its stage 1.")] = (
        REPOSITORY / "data" / "recipes" / "flickr8k-student.yaml"
    ),
    photos: Annotated[Path | None, typer.Option(help="Folder; else drawn scenes.")] = None,
    sentences: Annotated[Path | None, typer.Option(help="File; else the scenes' captions.")] = None,
    scenes: Annotated[int, typer.Option(min=2, help="Scenes to draw.")] = 384,
    repeats: Annotated[int, typer.Option(min=1, help="Epochs of each side.")] = 3,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "cache_or_loop",
) -> None:
    """Cache the teacher's embeddings, train both ways in turns, report rates and ratios."""
    loaded = load_recipe(recipe)
    stamped = stamp(
        threads=f"{torch.get_num_threads()} for PyTorch, as the recipe says for reading photos",
        statistic=f"median of {repeats} epochs of each side, in turns",
        packages=PACKAGES,
    )
    with tempfile.TemporaryDirectory(prefix="leanclip-benchmark-") as temporary:
        work = Path(temporary)
        photos, sentences = _corpora(work, photos, sentences, scenes)
        source = load_checkpoint(teacher)
        encoder = TorchEncoder(source, device="cuda" if torch.cuda.is_available() else "cpu")
        student = _student(loaded, source.tokenizer)
        cached = Teacher(str(teacher), work / "teacher-cache", SilentReporter())
        sides = [
            _photo_side(loaded, cached, encoder, photos),
            _sentence_side(loaded, cached, encoder, sentences),
        ]
        raw = [
            row
            for side in sides
            for row in take_turns(side, student, encoder.dim, repeats, work / side.tower)
        ]
    results = [compare(side, raw) for side in sides]
    write_figures(out, stamped=stamped, results=results, raw=raw)
    typer.echo(table(results))


def take_turns(
    side: Side, student: DualEncoder, teacher_dim: int, repeats: int, work: Path
) -> list[dict[str, Any]]:
    """Train an epoch from the cache, one with the teacher, and so on."""
    raw = []
    for repeat in range(1, repeats + 1):
        for way in (CACHE, IN_LOOP):
            typer.echo(f"{side.tower} tower, {way}, epoch {repeat} of {repeats}", err=True)
            samples, seconds = _epoch(side, way, student, teacher_dim, work / f"{way}-{repeat}")
            raw.append(
                {
                    "tower": side.tower,
                    "way": way,
                    "repeat": repeat,
                    "samples": samples,
                    "seconds": seconds,
                    "samples_per_second": samples / seconds,
                }
            )
    return raw


def compare(side: Side, raw: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians of both ways, their ratio, and when the cache has paid for itself."""
    rates = {
        way: summary(
            [
                row["samples_per_second"]
                for row in raw
                if row["tower"] == side.tower and row["way"] == way
            ]
        )
        for way in (CACHE, IN_LOOP)
    }
    saved = 1 / rates[IN_LOOP]["median"] - 1 / rates[CACHE]["median"]
    seconds_per_sample = side.cache_seconds / side.items
    return {
        "tower": side.tower,
        "batch_size": side.stage.training.batch_size,
        "precision": side.stage.training.precision,
        "samples_per_second": rates,
        "cache_is_times_faster": rates[CACHE]["median"] / rates[IN_LOOP]["median"],
        "building_the_cache_samples_per_second": 1 / seconds_per_sample,
        "epochs_until_the_cache_has_paid": seconds_per_sample / saved if saved > 0 else None,
    }


def table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown, for the README."""
    lines = [
        "| tower | from the cache, samples/s | teacher in the loop, samples/s | ratio "
        "| building the cache once, samples/s | paid after epochs |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in results:
        rates, paid = row["samples_per_second"], row["epochs_until_the_cache_has_paid"]
        lines.append(
            f"| {row['tower']} | {rates[CACHE]['median']:.0f} | {rates[IN_LOOP]['median']:.0f} "
            f"| {row['cache_is_times_faster']:.2f} "
            f"| {row['building_the_cache_samples_per_second']:.0f} "
            f"| {'never' if paid is None else format(paid, '.1f')} |"
        )
    return "\n".join(lines)


def _epoch(
    side: Side, way: str, student: DualEncoder, teacher_dim: int, work: Path
) -> tuple[int, float]:
    """Samples of one epoch from a fresh student, and the seconds of its steps."""
    torch.manual_seed(0)
    model = copy.deepcopy(student).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    bridge = Bridge(model.config.embedding_dim, teacher_dim)
    task_class = TeacherInLoop if way == IN_LOOP else DistilTask
    lesson = Lesson(bridge, Targets(side.targets.clone()))
    task = task_class(side.stage, model, [lesson], side.inputs(model), judge=dict)
    if isinstance(task, TeacherInLoop):
        task.embed = side.embed
    Loop(task, work, key=way, title=way, seed=0, reporter=SilentReporter()).run()
    lines = [json.loads(line) for line in (work / LOG).read_text("utf-8").splitlines()]
    seconds = [line["seconds"] for line in lines if "seconds" in line]
    batch = min(side.stage.training.batch_size, side.items)
    return len(seconds) * side.stage.training.accumulation * batch, sum(seconds)


def _photo_side(recipe: Recipe, cached: Teacher, encoder: Encoder, folder: Path) -> Side:
    stage = _stage(recipe, "image")
    typer.echo("caching photos", err=True)
    started = time.perf_counter()
    photos, targets = cached.photos([folder])
    seconds = time.perf_counter() - started
    size = encoder.preprocessing.size

    def embed(indices: Tensor, pixels: Tensor) -> Tensor:
        resized = F.interpolate(pixels.float(), size=(size, size), mode="bilinear", antialias=True)
        ready = resized.round().clamp(0, 255).byte().cpu().numpy()
        return torch.from_numpy(encoder.encode_pixels(ready))

    def inputs(model: DualEncoder) -> Inputs:
        return PhotoInputs(photos, model, stage.training, seed=0)

    return Side("image", stage, len(photos), targets, inputs, embed, seconds)


def _sentence_side(recipe: Recipe, cached: Teacher, encoder: Encoder, file: Path) -> Side:
    stage = _stage(recipe, "text")
    typer.echo("caching sentences", err=True)
    started = time.perf_counter()
    sentences, targets = cached.sentences([file])
    seconds = time.perf_counter() - started
    # The student reads the teacher's tokens here.
    ids: np.ndarray[Any, np.dtype[np.int32]] = encoder.tokenizer.batch(sentences)

    def embed(indices: Tensor, _: Tensor) -> Tensor:
        batch = [sentences[index] for index in indices.tolist()]
        return torch.from_numpy(encoder.encode_sentences(batch))

    def inputs(model: DualEncoder) -> Inputs:
        return SentenceInputs(ids, model, encoder.tokenizer, stage.training, seed=0)

    return Side("text", stage, len(sentences), targets, inputs, embed, seconds)


def _stage(recipe: Recipe, tower: Tower) -> Distil:
    """The recipe's stage 1 of a tower, cut to one epoch."""
    for stage in recipe.stages:
        if isinstance(stage, Distil) and stage.tower == tower:
            training = stage.training.model_copy(update={"epochs": 1})
            return stage.model_copy(update={"training": training})
    raise RecipeError(f"{recipe.name} has no stage distil of the {tower} tower to measure")


def _student(recipe: Recipe, tokenizer: Tokenizer) -> DualEncoder:
    torch.manual_seed(recipe.seed)
    return DualEncoder(recipe.student.config(tokenizer.spec))


def _corpora(
    work: Path, photos: Path | None, sentences: Path | None, count: int
) -> tuple[Path, Path]:
    """The folder and the file that were given; scenes stand in for what was not."""
    if photos is not None and sentences is not None:
        return photos, sentences
    typer.echo(f"drawing {count} scenes", err=True)
    endings = {".jpg", ".jpeg", ".png", ".webp"}
    backgrounds = sorted(path for path in PHOTOS.iterdir() if path.suffix in endings)
    pairs = write_scenes(
        work / "scenes", count=count, seed=0, size=SCENE_SIZE, backgrounds=backgrounds
    )
    captions = work / "captions.txt"
    captions.write_text("\n".join(dict.fromkeys(read_sentences(pairs))), "utf-8")
    return photos or pairs.parent / "images", sentences or captions


if __name__ == "__main__":
    try:
        typer.run(main)
    except LeanclipError as error:
        sys.exit(f"cache_or_loop: {error}")
