"""Data reinforcement: views of photos that every teacher has embedded (MobileCLIP)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from retrieval.compress.cache.cache import TeacherCache
from retrieval.compress.data.photos import StoredViews
from retrieval.compress.data.views import ViewRules
from retrieval.compress.teaching.teacher import Teacher
from retrieval.spec.errors import CacheError


@dataclass(frozen=True)
class Reinforced:
    """Photos, the views of them that teachers saw, and what each teacher made of each view.

    The loss of a reinforced student is the mean over teachers, each in its own space
    (Vasu et al., MobileCLIP, CVPR 2024, equation 2).

    Attributes:
        paths: Photos that can be read, ``n`` of them.
        views: What the student is to be shown, ``(n, views, fields)`` (see `View`).
        targets: For each teacher, float16 ``(n * views, its dim)``; row ``photo * views +
            view``, the number that a batch of `PhotoInputs` carries.
    """

    paths: list[Path]
    views: StoredViews
    targets: list[Tensor]


def reinforce(
    teachers: Sequence[Teacher], sources: Sequence[Path], count: int, rules: ViewRules
) -> Reinforced:
    """Cache ``count`` views of each photo by each teacher, or read what is cached.

    Args:
        teachers: At least one. All see the same views, each at its own input size.
        sources: Folders of photos or files of captioned photos.
        count: Views of each photo.
        rules: How far views may go.

    Raises:
        CacheError: Teachers did not see the same views, since photos changed in between.
    """
    seen = [[teacher.views(source, count, rules) for source in sources] for teacher in teachers]
    paths, views = _joined(seen[0])
    for teacher, caches in zip(teachers[1:], seen[1:], strict=True):
        other_paths, other_views = _joined(caches)
        if other_paths != paths or not np.array_equal(other_views, views):
            raise CacheError(
                f"{teachers[0].source} and {teacher.source} did not see the same views; photos "
                "changed while they were cached: run it again"
            )
    targets = [
        torch.from_numpy(np.concatenate([cache.view_embeddings() for cache in caches]))
        for caches in seen
    ]
    return Reinforced(paths, views, targets)


def _joined(caches: Sequence[TeacherCache]) -> tuple[list[Path], StoredViews]:
    paths = [path for cache in caches for path in cache.photos]
    return paths, np.concatenate([cache.views() for cache in caches])
