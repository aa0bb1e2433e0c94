"""What a teacher has to say of the items of a stage."""

from dataclasses import dataclass, replace

from torch import Tensor

from retrieval.compress.losses.step import Side
from retrieval.compress.teaching.bridge import Bridge
from retrieval.compress.teaching.targets import Targets


@dataclass(frozen=True)
class Lesson:
    """Unpaired items of one modality.

    Attributes:
        bridge: From the student's space to the teacher's.
        targets: The teacher's embedding of each item.
        unrelated: Its embeddings of the other modality's corpus; None where no loss asks.
    """

    bridge: Bridge
    targets: Targets
    unrelated: Targets | None = None


@dataclass(frozen=True)
class PairLesson:
    """Captioned photos.

    Attributes:
        images: The teacher's embeddings of the photos.
        texts: Its embeddings of the captions.
        bridge: From the student's space to the teacher's, as stage 1 learned it; None when
            nothing leads there, and the teacher's similarities alone can be followed.
        views: Its embeddings of views of the photos, where those are what the student sees.
    """

    images: Targets
    texts: Targets
    bridge: Bridge | None = None
    views: Targets | None = None

    def of_images(self, side: Side, views: Tensor) -> Side:
        """Photos of a batch with what the teacher says of the views that were shown."""
        targets = self.views or self.images
        return replace(side, taught=targets.taught(side.student, views, self.bridge))

    def of_texts(self, side: Side, captions: Tensor) -> Side:
        """Captions of a batch with what the teacher says of them."""
        return replace(side, taught=self.texts.taught(side.student, captions, self.bridge))
