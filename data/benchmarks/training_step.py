"""Where the time of a training step on photos goes: photos per second of each part.

The parts are decoding alone, decoding and cropping, cropping what a `PixelStore` holds (one
thread each), the step alone on pixels that are ready, and the step fed by loader threads
from files and from the store. The step is the recipe's stage 1 of the image tower: student,
bridge to the teacher's space, squared distance, backward pass, AdamW. It is measured twice:
as it is, and plain, with torch's own Householder product and with strided convolutions as
the library computes them; fed by processes that PyTorch's loader forks, that is what
leanclip had before it was profiled. A part is a few batches, so starting an epoch counts as
it does for a small corpus. The parts take turns. The student starts from random weights,
which run as fast as trained ones.

    python data/benchmarks/training_step.py
    python data/benchmarks/training_step.py --photos data/downloads/flickr8k/train.jsonl
"""

import copy
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from figures import HERE, PHOTOS, REPOSITORY, stamp, summary, write_figures
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal
from torch.utils.data import DataLoader

from retrieval.compress.cache.corpus import Corpus
from retrieval.compress.data.inputs import PhotoInputs, channels_last
from retrieval.compress.data.order import shuffled_batches
from retrieval.compress.data.photos import PhotoViews
from retrieval.compress.data.store import PixelStore
from retrieval.compress.loop.memory import keep_freed_memory
from retrieval.compress.loop.optimiser import make_optimiser
from retrieval.compress.loop.settings import Training
from retrieval.compress.recipe import Recipe, load_recipe
from retrieval.compress.scenes import write_scenes
from retrieval.compress.stages.settings import Distil
from retrieval.compress.teaching.bridge import Bridge
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.errors import LeanclipError, RecipeError
from retrieval.spec.model import ModelConfig
from retrieval.vision.decode import open_photo

PACKAGES = ("leanclip", "torch", "timm", "numpy", "pillow")
SCENE_SIZE = 320
LIMIT = 4_000_000_000

Part = Callable[[], int]
"""Does one part of the work and returns how many photos went through it."""


class Step:
    """Student, bridge and optimiser, fed with batches of pixels.

    Args:
        student: Copied.
        training: Settings of the stage.
        teacher_dim: Numbers in an embedding of the teacher.
        plain: Leave torch's Householder product and strided convolutions as they are.
    """

    def __init__(
        self, student: DualEncoder, training: Training, teacher_dim: int, *, plain: bool
    ) -> None:
        self.model = copy.deepcopy(student).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.plain = plain
        self.training = training
        bridge = Bridge(self.model.config.embedding_dim, teacher_dim)
        if plain and bridge.map is not None:
            linear = nn.Linear(self.model.config.embedding_dim, teacher_dim, bias=False)
            bridge.map = orthogonal(linear, orthogonal_map="householder")  # type: ignore[assignment]
        self.task = nn.ModuleDict({"model": self.model, "bridge": bridge})
        self.model.text.requires_grad_(False)
        self.optimiser = make_optimiser(self.task, training)
        self.target = F.normalize(torch.randn(training.batch_size, teacher_dim), dim=1)
        self.task.train()
        for module in self.model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and training.freeze_norm:
                module.eval()

    def inputs(self, photos: list[Path], store: PixelStore | None = None) -> PhotoInputs:
        """Batches of these photos, of this step's model unless it is plain."""
        model = copy.deepcopy(self.model) if self.plain else self.model
        return PhotoInputs(photos, model, self.training, seed=0, store=store)

    def over(self, batches: Iterable[tuple[Tensor, Tensor]], normalise: nn.Module) -> int:
        """Train on some batches; returns how many photos they had."""
        photos = 0
        low = self.training.precision == "bf16-mixed"
        for _, pixels in batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=low):
                found = self.model.encode_image(channels_last(normalise(pixels)))
            crossed = F.normalize(self.task["bridge"](found.float()), dim=-1)
            loss = (crossed - self.target[: len(crossed)]).square().sum(dim=1).mean()
            loss.backward()
            self.optimiser.step()
            self.optimiser.zero_grad(set_to_none=True)
            photos += len(pixels)
        return photos


def main(
    recipe: Annotated[Path, typer.Option(help="Gives the student and its stage 1.")] = (
        REPOSITORY / "data" / "recipes" / "flickr8k-student.yaml"
    ),
    photos: Annotated[
        Path | None, typer.Option(help="Folder or captioned photos; else drawn scenes.")
    ] = None,
    count: Annotated[int, typer.Option(min=2, help="Photos to take.")] = 512,
    batches: Annotated[int, typer.Option(min=1, help="Batches of a measured part.")] = 3,
    teacher_dim: Annotated[int, typer.Option(help="Length of the teacher's embeddings.")] = 512,
    repeats: Annotated[int, typer.Option(min=1, help="Measurements of each part.")] = 3,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "training_step",
) -> None:
    """Measure every part in turns and report photos per second."""
    keep_freed_memory()
    loaded = load_recipe(recipe)
    training = _stage(loaded).training
    stamped = stamp(
        threads=f"{torch.get_num_threads()} for PyTorch, {training.loader_workers} loader "
        f"threads, {os.cpu_count()} cores",
        statistic=f"median of {repeats} measurements of each part, in turns",
        packages=PACKAGES,
    )
    with tempfile.TemporaryDirectory(prefix="leanclip-benchmark-") as temporary:
        work = Path(temporary)
        paths = _photos(work, photos, count)
        parts = _parts(loaded, training, paths, work, batches, teacher_dim)
        for part in parts.values():
            part()
        raw = [
            _measured(name, part, repeat)
            for repeat in range(1, repeats + 1)
            for name, part in parts.items()
        ]
    results = {
        "photos": len(paths),
        "bytes_of_a_photo": sum(_size(path) for path in paths) / len(paths),
        "batch_size": training.batch_size,
        "precision": training.precision,
        "photos_per_second": {
            name: summary([row["photos_per_second"] for row in raw if row["part"] == name])
            for name in parts
        },
    }
    write_figures(out, stamped=stamped, results=results, raw=raw)
    typer.echo(table(results))


def table(results: dict[str, Any]) -> str:
    """Markdown."""
    lines = ["| part | photos/s |", "| --- | ---: |"]
    for name, rates in results["photos_per_second"].items():
        lines.append(f"| {name} | {rates['median']:.0f} |")
    return "\n".join(lines)


def _parts(
    recipe: Recipe, training: Training, paths: list[Path], work: Path, count: int, dim: int
) -> dict[str, Part]:
    student = _student(recipe)
    spec, augmentation = recipe.student.preprocessing, training.augmentation
    target = augmentation.size or spec.size
    store = PixelStore.build(work, paths, spec, target=target, limit=LIMIT)
    files = PhotoViews(paths, spec, augmentation, seed=0)
    kept = PhotoViews(paths, spec, augmentation, seed=0, store=store)
    now, plain = (Step(student, training, dim, plain=without) for without in (False, True))
    from_files, from_store = now.inputs(paths), now.inputs(paths, store)
    normalise = from_files.normalise
    ready = list(itertools.islice(from_files.batches(0, 0), count))
    epochs = itertools.count()

    def views(of: PhotoViews) -> int:
        epoch = next(epochs)
        return sum(len(of[(epoch, index)]) > 0 for index in range(len(of)))

    def fed(inputs: PhotoInputs) -> Iterator[tuple[Tensor, Tensor]]:
        return itertools.islice(inputs.batches(next(epochs), 0), count)

    def forked() -> Iterator[tuple[Tensor, Tensor]]:
        epoch = next(epochs)
        order = shuffled_batches(len(paths), training.batch_size, seed=0, epoch=epoch)
        keys = [[(epoch, index) for index in batch] for batch in order]
        pixels: Any = DataLoader(
            files,  # type: ignore[arg-type]
            batch_sampler=keys,
            num_workers=training.loader_workers,
        )
        return itertools.islice(((torch.empty(0), batch) for batch in pixels), count)

    return {
        "decode": lambda: sum(open_photo(path, target=target).width > 0 for path in paths),
        "decode and crop": lambda: views(files),
        "crop from the store": lambda: views(kept),
        "plain step on ready pixels": lambda: plain.over(ready, normalise),
        "step on ready pixels": lambda: now.over(ready, normalise),
        "plain step fed from files": lambda: plain.over(fed(from_files), normalise),
        "plain step fed by processes": lambda: plain.over(forked(), normalise),
        "step fed from files": lambda: now.over(fed(from_files), normalise),
        "step fed from the store": lambda: now.over(fed(from_store), normalise),
    }


def _measured(name: str, part: Part, repeat: int) -> dict[str, Any]:
    typer.echo(f"{name}, {repeat}", err=True)
    started = time.perf_counter()
    photos = part()
    seconds = time.perf_counter() - started
    return {
        "part": name,
        "repeat": repeat,
        "photos": photos,
        "seconds": seconds,
        "photos_per_second": photos / seconds,
    }


def _photos(work: Path, source: Path | None, count: int) -> list[Path]:
    if source is None:
        endings = {".jpg", ".jpeg", ".png", ".webp"}
        backgrounds = sorted(path for path in PHOTOS.iterdir() if path.suffix in endings)
        pairs = write_scenes(
            work / "scenes", count=count, seed=0, size=SCENE_SIZE, backgrounds=backgrounds
        )
        source = pairs.parent / "images"
    found = dict.fromkeys(row.photo for row in Corpus.open(source).rows if row.photo is not None)
    return list(found)[:count]


def _size(path: Path) -> int:
    return path.stat().st_size


def _stage(recipe: Recipe) -> Distil:
    for stage in recipe.stages:
        if isinstance(stage, Distil) and stage.tower == "image":
            return stage
    raise RecipeError(f"{recipe.name} has no stage distil of the image tower to measure")


def _student(recipe: Recipe) -> DualEncoder:
    student = recipe.student
    config = ModelConfig(
        name=student.name,
        embedding_dim=student.embedding_dim,
        image=student.image,
        text=student.text,
        preprocessing=student.preprocessing,
        tokens=Tokenizer.clip(context_length=16).spec,
    )
    torch.manual_seed(recipe.seed)
    return DualEncoder(config)


if __name__ == "__main__":
    try:
        typer.run(main)
    except LeanclipError as error:
        sys.exit(f"training_step: {error}")
