"""What can go wrong while a model comes from elsewhere."""

from retrieval.spec.errors import LeanclipError


class FetchError(LeanclipError):
    """A model cannot be fetched: it is not what was promised, or has no place here."""
