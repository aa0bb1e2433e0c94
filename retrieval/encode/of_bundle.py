"""What the encoders of a bundle have in common: what its manifest says."""

from retrieval.spec.bundle import Bundle
from retrieval.spec.preprocessing import Preprocessing


class OfBundle:
    """The part of `retrieval.encode.protocol.Encoder` that a manifest answers.

    Args:
        bundle: The manifest.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    @property
    def name(self) -> str:
        return self.bundle.name

    @property
    def fingerprint(self) -> str:
        return self.bundle.fingerprint

    @property
    def dim(self) -> int:
        return self.bundle.embedding_dim

    @property
    def preprocessing(self) -> Preprocessing:
        return self.bundle.preprocessing
