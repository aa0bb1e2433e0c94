"""A view of a photo, drawn and shown as `PhotoViews` does it for each photo of a batch."""

from PIL import Image

from retrieval.compress.data.views import (
    Pixels,
    ViewRules,
    draw_resizing,
    draw_view,
    photo_size,
    show_view,
)
from retrieval.compress.loop.settings import Augmentation
from retrieval.spec.preprocessing import Preprocessing


def random_view(
    photo: Image.Image, spec: Preprocessing, augmentation: Augmentation, seed: int, mirror: bool
) -> Pixels:
    """uint8 ``(3, side, side)`` of an upright RGB photo."""
    view = draw_view(photo_size(photo), ViewRules.of(spec, augmentation), seed, mirror)
    resizing = draw_resizing(spec, augmentation, seed)
    return show_view(photo, view, augmentation.size or spec.size, resizing)
