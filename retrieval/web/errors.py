"""What the server refuses, as errors of the page's own kind."""

from retrieval.spec.errors import LeanclipError


class ServeError(LeanclipError):
    """The server cannot be started as it was asked to."""


class GoneError(LeanclipError):
    """A photo is not in the catalog, or its file is no longer the one that was catalogued."""


class UploadError(LeanclipError):
    """An uploaded file is no photo, or more than this server decodes."""


class BusyError(LeanclipError):
    """What was asked for is going on already."""
