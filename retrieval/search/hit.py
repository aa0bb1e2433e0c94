"""Search results."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Hit:
    """A photo that was found."""

    path: Path
    score: float | None
    """Cosine of the query and the photo, -1 to 1; comparable within one query only. None where
    nothing was compared, because the query holds filters only."""
    photo_id: int
    moment_ms: int | None = None
    """The best moment of a video, milliseconds from its start; None for a photo."""
    taken_at: int | None = None
    """Wall-clock seconds since 1970, where photos were ordered by them; else None."""


class Hits(list[Hit]):
    """Found photos, best first; a notebook shows them as pictures."""

    def _repr_html_(self) -> str:
        from retrieval.search.sheet.notebook import render_hits  # Pillow is only needed here

        return render_hits(self)
