"""From a stage of a recipe to the task that the loop trains."""

from pathlib import Path

from torch import Tensor

from retrieval.compress.bridge import Bridge
from retrieval.compress.data.inputs import Inputs, PhotoInputs, SentenceInputs
from retrieval.compress.embed import embed_ids, embed_photos
from retrieval.compress.judge import Judge
from retrieval.compress.materials import Materials, mirrors
from retrieval.compress.stages.distil import DistilTask
from retrieval.compress.stages.finetune import Embedders, FinetuneTask, Pairs
from retrieval.compress.stages.settings import Distil, Finetune
from retrieval.language.tokenizer import Tokenizer
from retrieval.models.dual_encoder import DualEncoder


def make_distil(
    stage: Distil,
    model: DualEncoder,
    tokenizer: Tokenizer,
    materials: Materials,
    judge: Judge,
    *,
    learned_bridge: Path | None,
    seed: int,
) -> DistilTask:
    """Stage 1 of one tower.

    Args:
        stage: What to do.
        model: The student.
        tokenizer: Its tokenizer.
        materials: What to learn from.
        judge: Scores the student in the teacher's space.
        learned_bridge: The bridge of an earlier stage, which stays as it is; None to learn it.
        seed: Seeds order and views.
    """
    inputs: Inputs
    if stage.tower == "image":
        photos = materials.photos()
        targets = photos.targets
        inputs = PhotoInputs(photos.paths, model, stage.training, seed=seed, mirror=photos.mirror)
    else:
        sentences = materials.sentences()
        targets = sentences.targets
        ids = tokenizer.batch(sentences.texts)
        inputs = SentenceInputs(ids, model, tokenizer, stage.training, seed=seed)
    bridge = _bridge(model, materials, targets, learned_bridge)
    score = judge.image_tower if stage.tower == "image" else judge.text_tower
    return DistilTask(stage, model, bridge, inputs, targets, lambda: score(bridge))


def make_finetune(
    stage: Finetune,
    model: DualEncoder,
    tokenizer: Tokenizer,
    materials: Materials,
    judge: Judge,
    *,
    seed: int,
) -> FinetuneTask:
    """Stage 2 of one tower or of both; arguments as `make_distil` takes them."""
    corpus = materials.pairs()
    training = stage.training
    ids = tokenizer.batch(corpus.sentences)
    views = PhotoInputs(corpus.photos, model, training, seed=seed, mirror=mirrors(corpus))
    pairs = Pairs(views, ids, corpus.photo_of_sentence, corpus.images, corpus.texts)
    embedders = Embedders(
        photos=lambda: embed_photos(model, corpus.photos, workers=training.loader_workers),
        captions=lambda: embed_ids(model, ids),
    )
    return FinetuneTask(stage, model, tokenizer, pairs, embedders, judge.student, seed=seed)


def _bridge(
    model: DualEncoder, materials: Materials, targets: Tensor, learned: Path | None
) -> Bridge:
    bridge = Bridge(model.config.embedding_dim, targets.shape[1])
    if learned is not None:
        bridge.load(learned)
    elif materials.data.pairs:
        pairs = materials.pairs()
        assert pairs.images is not None
        assert pairs.texts is not None
        bridge.start_from_principal_directions(pairs.images, pairs.texts)
    else:
        bridge.start_from_principal_directions(targets)
    return bridge
