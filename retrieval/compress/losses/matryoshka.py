"""Matryoshka embeddings: every prefix is an embedding of its own."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from retrieval.compress.loop.settings import Weight
from retrieval.spec.base import Spec
from retrieval.spec.model import Width


class Matryoshka(Spec):
    """Also apply the pair losses of the stage to prefixes of the embedding.

    Kusupati et al., NeurIPS 2022. A search index may then keep only the first numbers of an
    embedding; they have to be brought back to length one.
    """

    dims: Annotated[tuple[Width, ...], Field(min_length=1)]
    """Lengths of the prefixes, besides the whole embedding."""
    weight: Weight = 1.0
    """Of each prefix, against the whole embedding's 1."""

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return {"dims": value} if isinstance(value, list | tuple) else value
