"""Preprocessing as data: from a photo file to the array that an image tower takes."""

from typing import Annotated, Literal

from pydantic import Field

from retrieval.spec.base import Spec

Channels = tuple[float, float, float]

CLIP_MEAN: Channels = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Channels = (0.26862954, 0.26130258, 0.27577711)


class Preprocessing(Spec):
    """How every host (Python, web, Android, iOS) turns a photo into model input.

    The host decodes, turns the photo upright, resizes and crops. Scaling to
    ``value_range`` and normalising with ``mean`` and ``std`` happen inside the exported
    graph, so an exported tower takes plain pixels of ``pixel_type``, 0 to 255.
    """

    size: Annotated[int, Field(ge=8, le=4096)]
    """Height and width of the model's input, in pixels."""
    resize_mode: Literal["shortest", "squash", "longest"] = "shortest"
    """``shortest``: short side to ``size``, then centre crop. ``squash``: both sides to
    ``size``, aspect lost. ``longest``: long side to ``size``, then pad with ``fill``."""
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bicubic"
    antialias: Literal[True] = True
    """The filter widens with the scale, as in Pillow. Without it recall suffers."""
    fill: tuple[int, int, int] = (0, 0, 0)
    """Padding colour of ``longest``, and what transparent pixels are laid over."""
    mean: Channels = CLIP_MEAN
    std: Channels = CLIP_STD
    value_range: tuple[float, float] = (0.0, 1.0)
    """Range that pixels 0 to 255 are scaled to before ``mean`` and ``std`` apply."""
    channel_order: Literal["RGB", "BGR"] = "RGB"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    """Order of the exported tower's input dimensions."""
    pixel_type: Literal["uint8", "float32"] = "uint8"
    exif_orientation: Literal["apply", "ignore"] = "apply"
