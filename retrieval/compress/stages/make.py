"""From a stage of a recipe to the task that the loop trains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from retrieval.compress.data.groups import CaptionGroups
from retrieval.compress.data.inputs import Inputs, PhotoInputs, SentenceInputs
from retrieval.compress.data.pairs import Pairs
from retrieval.compress.data.store import PixelStore
from retrieval.compress.data.views import ViewRules
from retrieval.compress.distributed.ranks import after_first, from_first
from retrieval.compress.embed import embed_ids, embed_photos
from retrieval.compress.judge import Judge
from retrieval.compress.loop.reporter import Reporter
from retrieval.compress.loop.task import Task
from retrieval.compress.stages.distil import DistilTask
from retrieval.compress.stages.finetune import Embedders, FinetuneTask
from retrieval.compress.stages.lessons import Lesson, PairLesson
from retrieval.compress.stages.pretrain import PretrainTask
from retrieval.compress.stages.settings import Distil, Finetune, Pretrain, Trained, TrainingStage
from retrieval.compress.teaching.bridge import Bridge
from retrieval.compress.teaching.earlier import Snapshots
from retrieval.compress.teaching.hidden import HiddenStates
from retrieval.compress.teaching.materials import Materials, mirrors
from retrieval.compress.teaching.reinforced import Reinforced, reinforce
from retrieval.compress.teaching.targets import Targets
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.errors import RecipeError
from retrieval.spec.tower import Tower


@dataclass(frozen=True)
class Workshop:
    """All that a stage is made from.

    Attributes:
        model: The student.
        tokenizer: Its tokenizer.
        materials: What to learn from, as each teacher sees it; one without a teacher when
            the recipe has none.
        bridges: Where an earlier stage left the map to each teacher's space, or will leave it.
        pixels: Folder for decoded photos, where the recipe asks for them.
        reporter: Told while photos are decoded.
        seed: Seeds order and views.
    """

    model: DualEncoder
    tokenizer: Tokenizer
    materials: Sequence[Materials]
    bridges: Sequence[Path]
    pixels: Path
    reporter: Reporter
    seed: int

    def make(self, stage: Trained) -> Task:
        """The task of a stage.

        Raises:
            RecipeError: Losses ask for what data or teachers do not have.
        """
        if isinstance(stage, Pretrain):
            return self._pretrain(stage)
        return self._distil(stage) if isinstance(stage, Distil) else self._finetune(stage)

    def _pretrain(self, stage: Pretrain) -> PretrainTask:
        captions, group_of_caption = self.materials[0].captions()
        groups = CaptionGroups(self.tokenizer.batch(captions), group_of_caption)
        judge = self._judge(stage).student
        return PretrainTask(stage, self.model, self.tokenizer, groups, judge, seed=self.seed)

    def _distil(self, stage: Distil) -> DistilTask:
        is_image = stage.tower == "image"
        inputs, embed, targets = self._photos(stage) if is_image else self._sentences(stage)
        lessons = [
            Lesson(self._bridge(number, one), Targets(one), self._unrelated(stage, number))
            for number, one in enumerate(targets)
        ]
        judge = self._judge(stage)
        score = judge.image_tower if is_image else judge.text_tower
        snapshots = stage.losses.snapshots
        return DistilTask(
            stage,
            self.model,
            lessons,
            inputs,
            lambda: score(lessons[0].bridge),
            hidden=self._hidden(stage).get(stage.tower),
            snapshots=None if snapshots is None else Snapshots(snapshots, embed),
        )

    def _photos(self, stage: Distil) -> tuple[Inputs, Callable[[], Tensor], list[Tensor]]:
        """Photos of stage 1, how to embed all of them, and what each teacher says of them."""
        taught = [one.photos() for one in self.materials]
        items = taught[0]
        data = self.materials[0].data
        reinforced = self._reinforced(stage, [*data.photos, *data.pairs])
        inputs = self._photo_inputs(items.paths, items.mirror, stage, reinforced)
        workers = stage.training.loader_workers
        embed = partial(from_first, partial(embed_photos, self.model, items.paths, workers=workers))
        return inputs, embed, reinforced.targets if reinforced else [one.targets for one in taught]

    def _sentences(self, stage: Distil) -> tuple[Inputs, Callable[[], Tensor], list[Tensor]]:
        """The same of sentences."""
        taught = [one.sentences() for one in self.materials]
        ids = self.tokenizer.batch(taught[0].texts)
        inputs = SentenceInputs(ids, self.model, self.tokenizer, stage.training, seed=self.seed)
        embed = partial(from_first, partial(embed_ids, self.model, ids))
        return inputs, embed, [one.targets for one in taught]

    def _finetune(self, stage: Finetune) -> FinetuneTask:
        corpora = [one.pairs() for one in self.materials]
        corpus = corpora[0]
        ids = self.tokenizer.batch(corpus.sentences)
        reinforced = None
        if "image" in stage.towers:
            reinforced = self._reinforced(stage, self.materials[0].data.pairs)
        views = self._photo_inputs(corpus.photos, mirrors(corpus), stage, reinforced)
        lessons = [
            PairLesson(
                Targets(one.images),
                Targets(one.texts),
                self._learned_bridge(number, one.images),
                views=None if reinforced is None else Targets(reinforced.targets[number]),
            )
            for number, one in enumerate(corpora)
            if one.images is not None and one.texts is not None
        ]
        self._refuse_unbridged(stage, lessons)
        workers = stage.training.loader_workers
        embedders = Embedders(
            photos=partial(
                from_first, partial(embed_photos, self.model, corpus.photos, workers=workers)
            ),
            captions=partial(from_first, partial(embed_ids, self.model, ids)),
        )
        return FinetuneTask(
            stage,
            self.model,
            self.tokenizer,
            Pairs(views, CaptionGroups(ids, corpus.photo_of_sentence)),
            lessons,
            embedders,
            self._judge(stage).student,
            hidden=self._hidden(stage),
            seed=self.seed,
        )

    def _photo_inputs(
        self,
        paths: list[Path],
        mirror: list[bool],
        stage: TrainingStage,
        reinforced: Reinforced | None,
    ) -> PhotoInputs:
        """Views of photos, from decoded pixels where the recipe asks for them."""
        decoded = self.materials[0].data.decoded
        spec = self.model.config.preprocessing
        store = None
        if decoded is not None and "image" in stage.towers:
            target = stage.training.augmentation.size or spec.size
            self.reporter.begin("decoding photos", len(paths))
            build = partial(
                PixelStore.build, self.pixels, paths, spec,
                target=target, limit=decoded.limit, progress=self.reporter.advance,
            )  # fmt: skip
            # The others find what the first has decoded.
            store = after_first(build)
        return PhotoInputs(
            paths,
            self.model,
            stage.training,
            seed=self.seed,
            mirror=mirror,
            stored=None if reinforced is None else reinforced.views,
            store=store,
        )

    def _reinforced(self, stage: TrainingStage, sources: Sequence[Path]) -> Reinforced | None:
        """Views that every teacher has embedded, where the recipe asks for them."""
        settings = self.materials[0].data.reinforcement
        teachers = [one.teacher for one in self.materials if one.teacher is not None]
        if settings is None or not teachers:
            return None
        rules = ViewRules.of(self.model.config.preprocessing, stage.training.augmentation)
        return reinforce(teachers, sources, settings.views, rules)

    def _judge(self, stage: TrainingStage) -> Judge:
        workers = stage.training.loader_workers
        return Judge(self.model, self.tokenizer, self.materials[0].dev(), workers=workers)

    def _bridge(self, number: int, targets: Tensor) -> Bridge:
        """The map to a teacher's space: an earlier stage's, or one that this stage learns."""
        learned = self._learned_bridge(number, targets)
        if learned is not None:
            return learned
        bridge = Bridge(self.model.config.embedding_dim, targets.shape[1])
        materials = self.materials[number]
        if materials.data.pairs:
            pairs = materials.pairs()
            assert pairs.images is not None
            assert pairs.texts is not None
            bridge.start_from_principal_directions(pairs.images, pairs.texts)
        else:
            bridge.start_from_principal_directions(targets)
        return bridge

    def _learned_bridge(self, number: int, targets: Tensor) -> Bridge | None:
        dims = self.model.config.embedding_dim, targets.shape[1]
        if dims[0] != dims[1] and not self.bridges[number].exists():
            return None
        bridge = Bridge(*dims)
        if self.bridges[number].exists():
            bridge.load(self.bridges[number])
        return bridge

    def _unrelated(self, stage: Distil, number: int) -> Targets | None:
        """A teacher's embeddings of the other modality, where a loss asks for them."""
        if not stage.losses.needing("unrelated"):
            return None
        materials = self.materials[number]
        others = materials.sentences() if stage.tower == "image" else materials.photos()
        if not len(others.targets):
            kind = "sentences" if stage.tower == "image" else "photos"
            raise RecipeError(f"losses.unpaired of the {stage.tower} tower needs data.{kind}")
        return Targets(others.targets)

    def _hidden(self, stage: TrainingStage) -> dict[Tower, HiddenStates]:
        """Teacher towers to run beside the student's, where a loss asks for hidden states."""
        loss = stage.losses.hidden
        if loss is None or not loss.weight:
            return {}
        teacher = self.materials[0].teacher
        assert teacher is not None
        model = teacher.model_like(self.model.config, stage.towers)
        towers: dict[Tower, nn.Module] = {"image": model.image, "text": model.text}
        return {
            tower: HiddenStates(loss, getattr(self.model, tower), towers[tower])
            for tower in stage.towers
        }

    def _refuse_unbridged(self, stage: Finetune, lessons: Sequence[PairLesson]) -> None:
        for name in ("contrastive", "regression", "interactive"):
            loss = getattr(stage.losses, name)
            if loss is not None and loss.weight and any(one.bridge is None for one in lessons):
                raise RecipeError(
                    f"losses.{name} compares embeddings in the teacher's space; a student of "
                    "another embedding_dim needs a stage distil before this one"
                )
