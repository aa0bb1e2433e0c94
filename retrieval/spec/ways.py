"""The two ways of retrieval, as metrics and reports name them."""

from typing import Final

WAYS: Final = ("text_to_image", "image_to_text")
