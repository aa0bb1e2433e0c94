"""What the study compares; a new row is one line.

A row trains some stages of ``data/recipes/study.yaml`` (image 1, text 1, image 2, text 2),
with changes, and goes on from the result of its parent. So what rows have in common is
trained once. Where a parent was trained with the same seed, that one is gone on from.

Rows of starts and towers replace one finished tower of the base by a fresh one and train that
alone: it learns in both stages against the base's other tower.
"""

from collections.abc import Iterator
from typing import Any

from study.row import BASE, IMAGE_1, IMAGE_2, TEXT_1, TEXT_2, Changes, On, Row

_SEEDS = (0, 1, 2)


def _on(*names: str, **changes: Any) -> tuple[On, ...]:
    return tuple(On(name, changes) for name in names)


def _start(**entries: Any) -> Changes:
    return {"student": {"start": entries}}


def _blocks(layers: int) -> Changes:
    blocks = {"width": 192, "layers": layers, "head_dim": 64, "neurons": 512}
    return {"student": {"text": {"blocks": blocks}}}


def _backbone(name: str, size: int) -> Changes:
    image = {"backbones": [{"name": name, "options": {"pad_type": "same"}}]}
    return {"student": {"image": image, "preprocessing": {"size": size}}}


_PAIRS_AND_AFFINITY = {"pairs": 0.5, "affinity": 1}
_INHERITED = {"from": "teacher", "pick": "uniform"}
_WHOLE = {"multipliers": {"image.backbones": 1}, "freeze_norm": False}
_V1_FROZEN = {
    "image.backbones": 0.5,
    "image.backbones.0.conv_stem": 0,
    "image.backbones.0.bn1": 0,
    "image.backbones.0.blocks.0.": 0,
    "image.backbones.0.blocks.1.": 0,
}
_VIT = {
    "kind": "vit",
    "patch": 16,
    "backbones": None,
    "blocks": {"width": 192, "layers": 6, "head_dim": 64, "neurons": 768},
}

ABLATION = (
    Row("ablation", "stage 1, image only", _on(IMAGE_1), seeds=_SEEDS, reported=False),
    Row("ablation", "stage 1", _on(TEXT_1), parent="ablation/stage 1, image only", seeds=_SEEDS),
    Row("ablation", "stages 1 and 2, image only", _on(IMAGE_2), parent="ablation/stage 1",
        seeds=_SEEDS),
    Row("ablation", "stages 1 and 2", _on(TEXT_2), parent="ablation/stages 1 and 2, image only",
        seeds=_SEEDS),
    Row("ablation", "pairs alone, no teacher",
        (On(IMAGE_2, {"towers": ["image", "text"], "losses": {"pairs": 1},
                      "training": {"epochs": 4, "learning_rate": 1e-3, "dropout": 0.1}}),)),
    Row("ablation", "without hard negatives",
        _on(IMAGE_2, TEXT_2, losses=_PAIRS_AND_AFFINITY), parent="ablation/stage 1",
        seeds=_SEEDS),
    Row("ablation", "without distillation in stage 2",
        _on(IMAGE_2, TEXT_2, losses={"pairs": 1, "hard_negatives": 0.25}),
        parent="ablation/stage 1"),
    Row("ablation", "with interactive contrast in stage 2",
        _on(IMAGE_2, TEXT_2,
            losses={"pairs": 0.5, "affinity": 1, "hard_negatives": 0.25, "interactive": 0.5}),
        parent="ablation/stage 1"),
    Row("ablation", "with a joint third stage",
        (On(IMAGE_2, {"towers": ["image", "text"], "losses": _PAIRS_AND_AFFINITY,
                      "training": {"learning_rate": 1e-4}}),),
        parent=BASE),
)  # fmt: skip

LOSSES = (
    Row("losses", "contrastive and regression (base)", _on(IMAGE_1, TEXT_1)),
    Row("losses", "contrastive alone", _on(IMAGE_1, TEXT_1, losses={"contrastive": 1})),
    Row("losses", "regression alone", _on(IMAGE_1, TEXT_1, losses={"regression": 2})),
    Row("losses", "with unpaired",
        _on(IMAGE_1, TEXT_1, losses={"contrastive": 1, "regression": 2, "unpaired": 1})),
    Row("losses", "with 4 reinforced views", _on(IMAGE_1, TEXT_1),
        recipe={"data": {"reinforcement": {"views": 4}}}),
)  # fmt: skip

_NEW_IMAGE = {"stages": _on(IMAGE_1, IMAGE_2), "parent": BASE, "fresh": "image"}
_NEW_TEXT = {"stages": _on(TEXT_1, TEXT_2), "parent": BASE, "fresh": "text"}

STARTS = (
    Row("starts", "image: the teacher's backbone (base)", **_NEW_IMAGE),
    Row("starts", "image: ImageNet weights", **_NEW_IMAGE,
        recipe=_start(image_weights=[
            "../downloads/imagenet_mobilenet/mobilenetv2_100.safetensors"])),
    Row("starts", "image: random", _on(IMAGE_1, IMAGE_2, training=_WHOLE), BASE, "image",
        recipe=_start(image_weights=[])),
    Row("starts", "text: random (base)", **_NEW_TEXT),
    Row("starts", "text: teacher's layers, width by importance", **_NEW_TEXT,
        recipe=_start(text_layers={**_INHERITED, "width": "importance"})),
    Row("starts", "text: teacher's layers, leading width", **_NEW_TEXT,
        recipe=_start(text_layers={**_INHERITED, "width": "leading"})),
    Row("starts", "text: teacher's layers, random width", **_NEW_TEXT,
        recipe=_start(text_layers={**_INHERITED, "width": "random"})),
    Row("starts", "text: teacher's layers, tokens frozen", **_NEW_TEXT,
        recipe=_start(text_layers={**_INHERITED, "width": "importance"},
                      freeze_token_embedding=True)),
)  # fmt: skip

TEXT_LAYERS = tuple(
    Row("text layers", f"{layers} layers", **_NEW_TEXT, recipe=_blocks(layers))
    for layers in (6, 4, 2)
)

IMAGE_TOWERS = (
    *(
        Row("image towers", f"mobilenetv2_100 at {size} px", **_NEW_IMAGE,
            recipe=_backbone("mobilenetv2_100", size))
        for size in (96, 128, 160)
    ),
    Row("image towers", "mobilenetv1_100 at 128 px",
        _on(IMAGE_1, IMAGE_2, training={"multipliers": _V1_FROZEN}), BASE, "image",
        recipe=_backbone("mobilenetv1_100", 128)),
    Row("image towers", "ViT, 6 layers, at 128 px, random",
        _on(IMAGE_1, IMAGE_2, training={"multipliers": {}}), BASE, "image",
        recipe={"student": {"image": _VIT, "start": {"image_weights": []}}}),
)  # fmt: skip


def _pruned(criterion: str, sparsity: float, kind: Changes, also: Changes) -> On:
    prune = {**kind, "importance": criterion, "budget": {"sparsity": sparsity}}
    if kind["granularity"] == ["channel"]:
        # Every layer loses channels, so every layer and its batch norm must learn again.
        return On(IMAGE_1, {"prune": prune, "training": _WHOLE})
    losses = {**_PAIRS_AND_AFFINITY, **also}
    return On(TEXT_2, {"losses": losses, "captions_per_photo": 2, "prune": prune})


_HEADS = {"granularity": ["head", "neuron"]}
_CHANNELS = {"granularity": ["channel"]}
_WEIGHTS = {"granularity": ["weight"]}
_SELF, _CAP = {"self_teacher": 0.5}, {"snapshots": 0.3}
_BY_LAYER = ", layer by layer"
_REGULARISED = {"": {}, _BY_LAYER: {}, " with self-teacher": _SELF, " with snapshots": _CAP}


def _pruning(
    group: str,
    kind: Changes,
    criterion: str,
    sparsity: float,
    regularised: str = "",
    seeds: int = 1,
) -> Row:
    name = f"{criterion}{regularised}"
    return Row(
        group,
        f"{name} at {sparsity:.0%}",
        (_pruned(criterion, sparsity, kind, _REGULARISED[regularised]),),
        parent=BASE,
        seeds=_SEEDS[:seeds],
        baseline=f"magnitude at {sparsity:.0%}",
        zeros=sparsity,
        criterion=name,
    )


def _structured() -> Iterator[Row]:
    replicated = {"magnitude", "taylor", "platon"}
    criteria = ("magnitude", "random", "taylor", "movement", "platon", "pins", "moebert", "l0",
                "ablation")  # fmt: skip
    for sparsity in (0.2, 0.4, 0.6, 0.8):
        for criterion in criteria:
            seeds = 3 if criterion in replicated and sparsity == 0.6 else 1
            yield _pruning("structured pruning", _HEADS, criterion, sparsity, seeds=seeds)
    for sparsity in (0.6, 0.8):
        for criterion in ("magnitude", "platon"):
            for regularised in (" with self-teacher", " with snapshots"):
                seeds = 3 if criterion == "magnitude" and sparsity == 0.6 else 1
                yield _pruning(
                    "structured pruning", _HEADS, criterion, sparsity, regularised, seeds
                )


def _channels() -> Iterator[Row]:
    for sparsity in (0.2, 0.4, 0.6, 0.8):
        for criterion in ("magnitude", "platon"):
            yield _pruning("channel pruning", _CHANNELS, criterion, sparsity)
    for criterion in ("random", "taylor"):
        yield _pruning("channel pruning", _CHANNELS, criterion, 0.6)


def _unstructured() -> Iterator[Row]:
    for sparsity in (0.8, 0.9, 0.95):
        for criterion in ("magnitude", "movement", "platon", "pins"):
            seeds = 3 if sparsity == 0.95 and criterion in {"magnitude", "platon"} else 1
            yield _pruning("unstructured pruning", _WEIGHTS, criterion, sparsity, seeds=seeds)
        by_layer = {**_WEIGHTS, "scope": "layer"}
        yield _pruning("unstructured pruning", by_layer, "magnitude", sparsity, _BY_LAYER)
    for criterion in ("magnitude", "platon"):
        for regularised in (" with self-teacher", " with snapshots"):
            yield _pruning("unstructured pruning", _WEIGHTS, criterion, 0.95, regularised)


_SETTLE = On(TEXT_2, {"losses": _PAIRS_AND_AFFINITY})
_PRUNED_60 = "structured pruning/magnitude at 60%"

LOW_RANK = (
    Row("low rank", "no factors, more training", (_SETTLE,), parent=_PRUNED_60),
    *(
        Row("low rank", f"rank {rank} after pruning of 60%",
            ({"stage": "factorise", "towers": ["text"], "rank": rank}, _SETTLE),
            parent=_PRUNED_60)
        for rank in (64, 32)
    ),
    *(
        Row("low rank", f"token embedding of rank {rank} after pruning of 60%",
            ({"stage": "factorise", "towers": ["text"], "embedding_rank": rank}, _SETTLE),
            parent=_PRUNED_60)
        for rank in (96, 64)
    ),
)  # fmt: skip


def _quantised(**grids: Any) -> Changes:
    return {"losses": _PAIRS_AND_AFFINITY, "quantise": grids}


def _grid(kind: str) -> Changes:
    return {"linear": kind, "embedding": kind, "convolution": None}


QUANTISATION = (
    Row("quantisation", "none, more training", (_SETTLE,), parent=BASE),
    Row("quantisation", "text int8", (On(TEXT_2, _quantised(weights=_grid("int8"))),), BASE),
    Row("quantisation", "text int4",
        (On(TEXT_2, _quantised(weights=_grid("int4"), group=32)),), BASE),
    Row("quantisation", "text ternary", (On(TEXT_2, _quantised(weights=_grid("ternary"))),), BASE),
    Row("quantisation", "image int8", (On(IMAGE_2, _quantised()),), BASE),
)  # fmt: skip

ROWS: tuple[Row, ...] = (
    *ABLATION,
    *LOSSES,
    *STARTS,
    *TEXT_LAYERS,
    *IMAGE_TOWERS,
    *_structured(),
    *_channels(),
    *_unstructured(),
    *LOW_RANK,
    *QUANTISATION,
)
"""Every row, parents before their children."""

BASELINES = {
    "ablation": "stages 1 and 2",
    "losses": "contrastive and regression (base)",
    "text layers": "2 layers",
    "image towers": "mobilenetv2_100 at 128 px",
    "low rank": "no factors, more training",
    "quantisation": "none, more training",
}
"""What a group is measured against, where rows name nothing else."""


def baseline_of(row: Row) -> str | None:
    """Name of the row of the same group that a row is measured against; None for itself."""
    found = row.baseline or BASELINES.get(row.group)
    if row.group == "starts":
        found = f"{row.name.partition(':')[0]}: " + (
            "the teacher's backbone (base)" if row.name.startswith("image") else "random (base)"
        )
    return None if found == row.name else found
