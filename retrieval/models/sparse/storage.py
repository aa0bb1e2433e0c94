"""How the weights of a checkpoint lie on disk, as configuration."""

from typing import Any, Literal

from pydantic import model_validator

from retrieval.spec.base import Spec

ValueType = Literal["fp32", "fp16", "int8"]
Layout = Literal["dense", "bitmap", "csr", "smallest"]


class Storage(Spec):
    """Type of the stored values, and what is stored of the zeros between them.

    The type alone, such as ``"fp16"``, stands for that type and the dense layout.

    Sparse layouts fold ``-0.0`` into ``0.0``. A tensor that a layout would not make smaller
    stays dense, so choosing one costs nothing.
    """

    values: ValueType = "fp32"
    """``int8`` has one scale for each output row; vectors (biases, norms) stay ``fp32``."""
    layout: Layout = "dense"
    """``bitmap`` has one bit for each weight; ``csr`` has a column number for each weight that
    is not zero; ``smallest`` chooses between them, and dense, for each tensor."""

    @model_validator(mode="before")
    @classmethod
    def _named_by_its_values(cls, given: Any) -> Any:
        return {"values": given} if isinstance(given, str) else given

    @property
    def is_plain(self) -> bool:
        """Whether each tensor is stored under its own name, dense and in floating point."""
        return self.layout == "dense" and self.values != "int8"


DENSE = Storage()
"""Every weight in float32, one after the other."""
