"""From a recipe to its bill: count the data, profile a few steps, add up."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from retrieval.compress.loop.reporter import Reporter
from retrieval.compress.plan.amounts import Amount, Amounts, count
from retrieval.compress.plan.bill import Bill, BilledStep, StageCost, cache_step
from retrieval.compress.plan.done import finished_stages, steps_taken
from retrieval.compress.plan.measure import (
    StageJob,
    StudentJob,
    TeacherJob,
    alone,
    batches_of,
    measure_stage,
    measure_student,
    measure_teacher,
    photos_of,
    usable_cores,
)
from retrieval.compress.plan.profiles import StudentProfile, TeacherProfile
from retrieval.compress.plan.sample import Sample, make_sample
from retrieval.compress.plan.stand_ins import student_stand_in
from retrieval.compress.recipe import Recipe
from retrieval.compress.runner import FINAL, stage_name
from retrieval.compress.stages.settings import Trained, TrainingStage
from retrieval.compress.start.settings import STOCK
from retrieval.evaluate.latency import machine_name
from retrieval.spec.errors import RecipeError

_FLOAT: Final = 4
_EMBEDDED: Final = 32


def plan_recipe(recipe: Recipe, folder: Path, *, reporter: Reporter) -> Bill:
    """Say what a run would cost, without starting it; nothing is downloaded or kept.

    Args:
        recipe: What would be run.
        folder: Where it would be run: what is finished there is marked as done.
        reporter: Told of progress.

    Raises:
        RecipeError: Data are missing whose size nobody knows, or nothing would be trained.
        LeanclipError: A teacher that lies here, or data, are damaged.
    """
    with TemporaryDirectory(prefix="leanclip-plan-") as work:
        return _Plan(recipe, folder, Path(work), reporter).bill()


class _Plan:
    def __init__(self, recipe: Recipe, folder: Path, work: Path, reporter: Reporter) -> None:
        self.recipe = recipe
        self.folder = folder
        self.work = work
        self.reporter = reporter
        self.trained = [
            (number, stage)
            for number, stage in enumerate(recipe.stages)
            if isinstance(stage, TrainingStage)
        ]
        if not self.trained:
            raise RecipeError(f"{recipe.name} trains nothing: there is nothing to estimate")

    def bill(self) -> Bill:
        photos = max(photos_of(stage, batches_of(stage)[-1]) for _, stage in self.trained)
        photos = max(photos, _EMBEDDED)
        amounts = count(self.recipe.data, photos)
        sample = make_sample(amounts, self.work / "photos", photos)
        self.reporter.begin("profiling", len(self.trained) + len(self.recipe.teachers) + 1)
        teachers = self._teachers(sample)
        stand_in = self._stand_in(teachers)
        student = alone(
            measure_student,
            StudentJob(self.work / "student", self._first_of("image"), sample),
        )
        self.reporter.advance(len(teachers) + 1, note="student")
        finished = finished_stages(self.recipe, self.folder)
        stages = self._stages(stand_in, teachers, student, amounts, sample, finished)
        return Bill(
            recipe=self.recipe.name,
            machine=machine_name(),
            steps=(
                *self._downloads(teachers, student, finished),
                *self._caches(teachers, amounts, finished),
                *stages,
                self._student_step(stages),
            ),
            notes=tuple(self._notes(teachers, amounts, sample)),
        )

    def _teachers(self, sample: Sample) -> list[TeacherProfile]:
        profiles = []
        for number, source in enumerate(self.recipe.teachers):
            job = TeacherJob(source, self.work / f"teacher-{number}", sample)
            profiles.append(alone(measure_teacher, job))
            self.reporter.advance(number + 1, note="teacher")
        return profiles

    def _stand_in(self, teachers: Sequence[TeacherProfile]) -> Recipe:
        """The recipe with models that need no download."""
        student = student_stand_in(self.recipe, self.work / "student")
        sources = tuple(one.source for one in teachers)
        return self.recipe.model_copy(update={"student": student, "teacher": sources or None})

    def _stages(
        self,
        stand_in: Recipe,
        teachers: Sequence[TeacherProfile],
        student: StudentProfile,
        amounts: Amounts,
        sample: Sample,
        finished: int,
    ) -> list[BilledStep]:
        billed = []
        dims = tuple(one.dim for one in teachers)
        for number, stage in enumerate(self.recipe.stages):
            name = stage_name(self.recipe, number)
            if not isinstance(stage, TrainingStage):
                size = _FLOAT * sum(student.parameters.values())
                done = float(number < finished)
                billed.append(BilledStep(name, "trains nothing", 0.0, disk=size, done=done))
                continue
            profile = alone(measure_stage, StageJob(stand_in, number, sample, dims, self.work))
            self.reporter.advance(len(teachers) + 2 + number, note=name)
            cost = StageCost(
                stage=stage,
                profile=profile,
                student=student,
                teacher_dim=sum(dims),
                dim=self.recipe.student.embedding_dim,
                amounts=amounts,
                cores=usable_cores(),
                context=self.recipe.student.vocabulary.context_length,
            )
            taken = steps_taken(self.recipe, number, self.folder)
            billed.append(cost.billed(name, steps_taken=taken, finished=number < finished))
        return billed

    def _first_of(self, tower: str) -> Trained:
        """The first stage that trains a tower, or else the first of all."""
        stages = [stage for _, stage in self.trained]
        return next((stage for stage in stages if tower in stage.towers), stages[0])

    def _downloads(
        self, teachers: Sequence[TeacherProfile], student: StudentProfile, finished: int
    ) -> list[BilledStep]:
        started = self._has_begun(finished)
        steps = [
            BilledStep(
                name=f"download {source}",
                what="the teacher's weights, unless they were downloaded before",
                seconds=None,
                disk=_FLOAT * one.parameters,
                done=float(started),
            )
            for source, one in zip(self.recipe.teachers, teachers, strict=True)
            if source.startswith(STOCK)
        ]
        sources = [one for one in self.recipe.student.start.image_weights if one.startswith(STOCK)]
        if sources:
            what = "the student's starting weights, unless they were downloaded before"
            size = _FLOAT * student.parameters["image"]
            name = f"download {', '.join(sources)}"
            steps.append(BilledStep(name, what, None, disk=size, done=float(started)))
        return steps

    def _caches(
        self, teachers: Sequence[TeacherProfile], amounts: Amounts, finished: int
    ) -> list[BilledStep]:
        """Each corpus by each teacher, when the first stage that learns from it begins."""
        data = amounts
        dev = [] if data.dev is None else [data.dev]
        needed: list[tuple[Amount, bool]] = [
            *((one, self._has_begun(finished)) for one in (*dev, *data.pairs)),
            *((one, self._has_begun(finished, "image")) for one in data.photos),
            *((one, self._has_begun(finished, "text")) for one in data.sentences),
        ]
        return [cache_step(one, amount, done=done) for one in teachers for amount, done in needed]

    def _has_begun(self, finished: int, tower: str | None = None) -> bool:
        """Whether a stage that trains (this tower) has taken a step, so has its caches."""
        for number, stage in self.trained:
            if tower is None or tower in stage.towers:
                return number < finished or steps_taken(self.recipe, number, self.folder) > 0
        return False

    def _student_step(self, stages: Sequence[BilledStep]) -> BilledStep:
        done = float((self.folder / FINAL).is_dir() and all(one.done == 1 for one in stages))
        what = "the last checkpoint under its final name"
        return BilledStep(FINAL, what, 0.0, disk=stages[-1].disk, done=done)

    def _notes(
        self, teachers: Sequence[TeacherProfile], amounts: Amounts, sample: Sample
    ) -> list[str]:
        notes = [
            f"{one.path} is not here: counted as the {one.path.stem} split of {one.dataset.title}"
            for one in amounts.missing
            if one.dataset is not None
        ]
        notes += [f"profiled with generated {made}" for made in sample.generated]
        notes += [
            f"{source}: its architecture with random weights was profiled, nothing was "
            "downloaded; time and memory are the same"
            for source, one in zip(self.recipe.teachers, teachers, strict=True)
            if one.stands_in
        ]
        for number, stage in self.trained:
            small, large = batches_of(stage)[0], batches_of(stage)[-1]
            if stage.training.batch_size > large:
                notes.append(
                    f"{stage_name(self.recipe, number)}: a batch of {stage.training.batch_size} "
                    f"is reckoned from batches of {small} and {large}"
                )
            if stage.prune is not None:
                notes.append(
                    f"{stage_name(self.recipe, number)}: reckoned as if nothing were pruned"
                )
        if self.recipe.data.reinforcement is not None:
            views = self.recipe.data.reinforcement.views
            notes.append(f"the cache of {views} views of each photo is not in the bill")
        if self.recipe.data.decoded is not None:
            gigabytes = self.recipe.data.decoded.gigabytes
            notes.append(f"decoded photos may take up to {gigabytes:g} GB more while it runs")
        return notes
