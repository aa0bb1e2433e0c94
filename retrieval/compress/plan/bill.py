"""The bill: every step of a run with its time, memory and disk."""

from dataclasses import dataclass

from retrieval.compress.plan.amounts import Amount, Amounts
from retrieval.compress.plan.profiles import StageProfile, StudentProfile, TeacherProfile
from retrieval.compress.stages.settings import Distil, Finetune, Pretrain, Trained

_HALF = 2
_SINGLE = 4
_INDEX = 8
_TEXT_BYTES = 200
"""Of a Python string with a caption or a path, about."""
_STORED_TEXT_BYTES = 80
"""Of the same in a cache's metadata."""


@dataclass(frozen=True)
class BilledStep:
    """One step of a run.

    Attributes:
        name: The stage's folder, or what else is done.
        what: In words.
        seconds: All of it takes; None where it cannot be said.
        memory: Peak of the process in bytes; None where the system does not say.
        device_memory: Peak on the GPU; None without one.
        disk: Bytes that stay.
        scratch: Bytes that it needs meanwhile.
        done: Share that earlier runs have finished.
    """

    name: str
    what: str
    seconds: float | None
    memory: int | None = None
    device_memory: int | None = None
    disk: int = 0
    scratch: int = 0
    done: float = 0.0

    @property
    def seconds_left(self) -> float:
        """What the next run has to do of it."""
        return (self.seconds or 0.0) * (1 - self.done)


@dataclass(frozen=True)
class Bill:
    """All steps, what they come to, and what was assumed."""

    recipe: str
    machine: str
    steps: tuple[BilledStep, ...]
    notes: tuple[str, ...]

    @property
    def seconds_left(self) -> float:
        """Of all that is not done."""
        return sum(step.seconds_left for step in self.steps)

    @property
    def memory(self) -> int | None:
        """The most of any step that is not done."""
        return max((one.memory for one in self.steps if one.memory and one.done < 1), default=None)

    @property
    def disk(self) -> int:
        """The most that the run ever takes."""
        return sum(one.disk for one in self.steps) + max(one.scratch for one in self.steps)


def cache_step(teacher: TeacherProfile, amount: Amount, *, done: bool) -> BilledStep:
    """The teacher embeds a corpus, once."""
    rows = amount.sentences or amount.photos
    sides = 2 if amount.photos and amount.sentences else 1
    return BilledStep(
        name=f"teacher cache of {amount.path.parent.name}/{amount.path.name}",
        what=f"{_counted(amount)} embedded once by the teacher",
        seconds=amount.photos * teacher.seconds_per_photo
        + amount.sentences * teacher.seconds_per_sentence,
        memory=_plus(teacher.memory, amount.photos + amount.sentences, _TEXT_BYTES),
        disk=rows * (sides * teacher.dim * _HALF + sides * _STORED_TEXT_BYTES),
        done=float(done),
    )


@dataclass(frozen=True)
class StageCost:
    """A stage that trains, priced.

    Attributes:
        stage: Its settings.
        profile: A few of its steps.
        student: Its pace.
        teacher_dim: Numbers in all teachers' embeddings of one item together.
        dim: Numbers in an embedding of the student.
        amounts: All data.
        cores: That loader threads can use.
        context: Tokens of a sentence.
    """

    stage: Trained
    profile: StageProfile
    student: StudentProfile
    teacher_dim: int
    dim: int
    amounts: Amounts
    cores: int
    context: int

    def billed(self, name: str, *, steps_taken: int, finished: bool) -> BilledStep:
        """The step of the bill."""
        training = self.stage.training
        steps = training.epochs * self.steps_per_epoch
        each = self.seconds_per_step
        rest = self._evaluating() + self._mining()
        total = steps * each + rest
        share = 1.0 if finished else min(1.0, steps_taken / steps)
        batch = training.batch_size
        return BilledStep(
            name=name,
            what=f"{training.epochs} epochs of {self.steps_per_epoch:,} steps with "
            f"{batch * training.accumulation}, {each:.2f} s each; {rest / total:.0%} of the time "
            "evaluates and mines",
            seconds=total,
            memory=_plus(self.profile.memory(batch), 1, self._corpus_bytes()),
            device_memory=_plus(self.profile.device_memory(batch), 1, self._target_bytes()),
            disk=self.profile.checkpoint_bytes,
            scratch=self._state_bytes(),
            done=share,
        )

    @property
    def steps_per_epoch(self) -> int:
        """Steps of the optimiser."""
        training = self.stage.training
        batches = max(1, self._items // training.batch_size)
        return max(1, batches // training.accumulation)

    @property
    def seconds_per_step(self) -> float:
        """The slower of training and loading, which go on side by side."""
        training = self.stage.training
        step = self.profile.seconds(training.batch_size)
        if "image" in self.stage.towers:
            threads = max(1, min(training.loader_workers, self.cores))
            step = max(step, training.batch_size * self.student.seconds_per_view / threads)
        return step * training.accumulation

    @property
    def _photos(self) -> int:
        return 0 if self._is_pretraining else sum(one.photos for one in self.amounts.pairs)

    @property
    def _captions(self) -> int:
        captioned = self.amounts.captions if self._is_pretraining else self.amounts.pairs
        return sum(one.sentences for one in captioned)

    @property
    def _is_pretraining(self) -> bool:
        return isinstance(self.stage, Pretrain)

    @property
    def _items(self) -> int:
        if isinstance(self.stage, Finetune):
            return self._photos
        if self._is_pretraining:
            return sum(one.photos for one in self.amounts.captions)
        others = self.amounts.photos if "image" in self.stage.towers else self.amounts.sentences
        if "image" in self.stage.towers:
            return self._photos + sum(one.photos for one in others)
        return self._captions + sum(one.sentences for one in others)

    def _evaluating(self) -> float:
        dev, epochs = self.amounts.dev, self.stage.training.epochs
        if dev is None:
            return 0.0
        photos = dev.photos * self.student.seconds_per_photo
        sentences = dev.sentences * self.student.seconds_per_sentence
        seconds = photos + sentences
        for tower, of_tower in (("image", photos), ("text", sentences)):
            # A frozen tower's embeddings are remembered.
            seconds += (epochs + 1) * of_tower if tower in self.stage.towers else 0.0
        return seconds

    def _mining(self) -> float:
        if not isinstance(self.stage, Finetune) or len(self.stage.towers) == 2:
            return 0.0
        photos = self._photos * self.student.seconds_per_photo
        sentences = self._captions * self.student.seconds_per_sentence
        moving, frozen = (photos, sentences)
        if self.stage.towers == ("text",):
            moving, frozen = sentences, photos
        if not self.stage.losses.hard_negatives:
            return frozen
        search = self._photos * self._captions * self.dim / self.student.products_per_second
        return frozen + self.stage.training.epochs * (moving + search)

    def _target_bytes(self) -> int:
        if self._is_pretraining:
            return 0
        if isinstance(self.stage, Distil):
            return self._items * self.teacher_dim * _HALF
        return (self._photos + self._captions) * self.teacher_dim * _HALF

    def _corpus_bytes(self) -> int:
        """Embeddings, tokens and names of the whole corpus, which the sample hardly has."""
        both = self._photos + self._captions
        size = self._target_bytes() + both * _TEXT_BYTES + self._captions * self.context * _SINGLE
        if isinstance(self.stage, Finetune) and self.stage.losses.hard_negatives:
            # The student's side in training, the frozen one and its index, the teacher's both.
            frozen = self._photos if self.stage.towers == ("text",) else self._captions
            size += (both + frozen) * self.dim * _SINGLE + both * self.teacher_dim * _SINGLE
            size += self._mined_bytes()
        return size

    def _mined_bytes(self) -> int:
        loss = self.stage.losses.hard_negatives
        queries = self._captions if self.stage.towers == ("text",) else self._photos
        return queries * loss.mined * _INDEX if loss else 0

    def _state_bytes(self) -> int:
        """Weights, the best so far, their average, and two moments of what is trained."""
        parameters = self.student.parameters
        copies = 3 if self.stage.training.average else 2
        trained = sum(parameters[tower] for tower in self.stage.towers)
        weights = copies * sum(parameters.values()) + 2 * trained
        return weights * _SINGLE + (self._mined_bytes() if isinstance(self.stage, Finetune) else 0)


def _counted(amount: Amount) -> str:
    named = ((amount.photos, "photos"), (amount.sentences, "sentences"))
    return " and ".join(f"{number:,} {kind}" for number, kind in named if number)


def _plus(memory: int | None, items: int, each: int) -> int | None:
    return None if memory is None else memory + items * each
