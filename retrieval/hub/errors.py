"""What can go wrong while a model comes from elsewhere."""

from retrieval.spec.errors import LeanclipError


class FetchError(LeanclipError):
    """A model cannot be fetched: no connection, no such file, another hash than promised."""


class AbsentError(FetchError):
    """The server answers, and has no such file."""
