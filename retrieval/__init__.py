"""leanclip: make CLIP small, search photos with it, put it on a phone."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("leanclip")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
