"""One search result."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Hit:
    """A photo that was found."""

    path: Path
    score: float
    """Cosine of the query and the photo, -1 to 1; comparable within one query only."""
    photo_id: int
    moment_ms: int | None = None
    """The best moment of a video, milliseconds from its start; None for a photo."""
