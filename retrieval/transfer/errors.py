"""What can go wrong while a file comes from elsewhere."""

from retrieval.spec.errors import LeanclipError


class TransferError(LeanclipError):
    """A file cannot be brought: no connection, a refusal, another length, a full disk."""


class AbsentError(TransferError):
    """The server answers, and has no such file."""
