"""Models that a student inherits from, each opened once."""

from pathlib import Path

from retrieval.compress.start.settings import STOCK, TEACHER
from retrieval.models.checkpoint import CONFIG, Checkpoint, load_checkpoint
from retrieval.models.stock import load_stock
from retrieval.spec.errors import RecipeError


class Sources:
    """Opens sources by the names that recipes use.

    Args:
        teacher: The recipe's teacher, if it has one.
    """

    def __init__(self, teacher: str | None) -> None:
        self._teacher = teacher
        self._opened: dict[str, Checkpoint] = {}

    def open(self, source: str, entry: str) -> Checkpoint:
        """The model that a source names.

        Args:
            source: ``teacher``, a checkpoint folder, or a stock model.
            entry: Where in the recipe it stands, for messages.

        Raises:
            RecipeError: There is no teacher, or what is named holds no weights to inherit.
            CheckpointError: It is damaged or unknown.
        """
        if source == TEACHER:
            if self._teacher is None:
                raise RecipeError(
                    f"{entry}.from is teacher, and the recipe has none; name a checkpoint"
                )
            source = self._teacher
        if source not in self._opened:
            self._opened[source] = _opened(source, entry)
        return self._opened[source]


def _opened(source: str, entry: str) -> Checkpoint:
    if source.startswith(STOCK):
        return load_stock(source)
    if not (Path(source) / CONFIG).is_file():
        raise RecipeError(
            f"{entry}.from: {source} is no checkpoint folder, and only a checkpoint or a stock "
            "model (open_clip:, hf:) has weights to inherit"
        )
    return load_checkpoint(Path(source))
