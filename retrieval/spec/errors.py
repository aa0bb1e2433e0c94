"""Every error that leanclip raises on purpose.

Library code raises one of these with a sentence that says what is wrong, in which file,
and what to do. Only ``retrieval.cli`` turns them into a line on the terminal and an exit
status; anything else that escapes is a bug.
"""


class LeanclipError(Exception):
    """Base of all expected errors; ``str(error)`` is one line fit for a terminal."""


class PhotoError(LeanclipError):
    """A file is not a photo, or is a photo that cannot or must not be decoded."""


class CorpusError(LeanclipError):
    """Photos, sentences or captioned pairs for training are missing or malformed."""


class CheckpointError(LeanclipError):
    """A checkpoint folder is missing, damaged or of another format."""


class BundleError(LeanclipError):
    """A bundle folder is missing, damaged, tampered with or of a newer format."""


class SurgeryError(LeanclipError):
    """Parts that are to be removed, scaled or factorised do not exist or cannot go."""


class CatalogError(LeanclipError):
    """The catalog or its vectors are damaged, locked or belong to another model."""


class RecipeError(LeanclipError):
    """A recipe has an unknown key, a wrong type or values that cannot work together."""


class CacheError(LeanclipError):
    """A teacher cache is damaged or belongs to another teacher or another input."""


class TrainingError(LeanclipError):
    """Training cannot go on: the loss is not finite, or a resumed run does not match."""


class EvaluationError(LeanclipError):
    """Embeddings cannot be scored: they are not finite, or shapes do not belong together."""


class ExportError(LeanclipError):
    """A model cannot be converted, or a converted file does not match its source."""


class ProbeError(LeanclipError):
    """A device cannot be probed, or a probe cannot be read."""


class QueryError(LeanclipError):
    """A search query is empty or cannot be understood."""


class MissingExtraError(LeanclipError):
    """A feature needs packages of an extra that is not installed.

    Args:
        feature: What the user asked for, as the start of a sentence.
        extra: Name of the extra in ``pyproject.toml``.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs extra packages: pip install 'leanclip[{extra}]'")
