"""What a recipe says of how photos are kept and taught."""

from typing import Annotated

from pydantic import Field

from retrieval.spec.base import Spec


class Reinforcement(Spec):
    """Data reinforcement (MobileCLIP, CVPR 2024): the teacher embeds random views, once.

    The views are those that the stage's ``training.augmentation`` allows. The student is
    then shown exactly the views whose embeddings are cached, one of each photo an epoch.
    """

    views: Annotated[int, Field(ge=1)] = 4
    """Views of each photo; their cost is this many passes of the teacher, once."""


class Decoded(Spec):
    """Photos decoded once and kept as pixels while a run lasts."""

    gigabytes: Annotated[float, Field(ge=0)] = 8.0
    """Most that is written beside the run; photos that do not fit are decoded every time.
    0 decodes all of them every time. At most half of the free disk is used."""

    @property
    def limit(self) -> int:
        """The same in bytes."""
        return int(self.gigabytes * 1e9)
