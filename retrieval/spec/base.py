"""The common base of everything that is written to disk as configuration."""

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """An immutable, validated value; unknown keys are refused, so typing errors surface."""

    model_config = ConfigDict(extra="forbid", frozen=True)
