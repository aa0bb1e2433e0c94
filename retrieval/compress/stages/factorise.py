"""A stage that trains nothing: matrices become products of two thin ones."""

from typing import Any

from retrieval.compress.stages.settings import Factorise
from retrieval.models.dual_encoder import DualEncoder, parameter_count
from retrieval.models.surgery.low_rank import factorise, factorise_embedding
from retrieval.models.surgery.shrink import adopt


def factorise_towers(stage: Factorise, model: DualEncoder) -> dict[str, Any]:
    """Factorise what the stage names, in place.

    Returns:
        Parameters before and after, for ``metrics.json``.

    Raises:
        SurgeryError: A tower is no transformer of ours, or a rank does not make it smaller.
    """
    before = parameter_count(model)
    if stage.rank is not None or stage.energy is not None:
        for tower in stage.towers:
            adopt(model, factorise(model, tower, rank=stage.rank, energy=stage.energy))
    if stage.embedding_rank is not None:
        adopt(model, factorise_embedding(model, stage.embedding_rank))
    return {"factorised": {"parameters_before": before, "parameters": parameter_count(model)}}
