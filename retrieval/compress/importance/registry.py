"""Every criterion of importance that a recipe can name."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from retrieval.compress.importance.ablation import Ablation
from retrieval.compress.importance.l0 import L0
from retrieval.compress.importance.magnitude import Magnitude
from retrieval.compress.importance.moebert import MoEBERT
from retrieval.compress.importance.movement import Movement
from retrieval.compress.importance.pins import Pins
from retrieval.compress.importance.platon import Platon
from retrieval.compress.importance.random import Random
from retrieval.compress.importance.taylor import Taylor


def _named(value: Any) -> Any:
    """``importance: platon`` stands for PLATON with its defaults."""
    return {"criterion": value} if isinstance(value, str) else value


AnyCriterion = Annotated[
    Magnitude
    | Taylor
    | Movement
    | Platon
    | Pins
    | MoEBERT
    | Ablation
    | L0
    | Random,
    Field(discriminator="criterion"),
    BeforeValidator(_named),
]  # fmt: skip
"""Settings of one criterion: its name alone, or an entry ``criterion`` beside its options."""
