"""Any of a bundle's files as an encoder, so that all formats take the same tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from export.targets.registry import find_target
from export.targets.target import Inputs, Run
from retrieval.encode.of_bundle import OfBundle
from retrieval.encode.protocol import Embeddings, Pixels
from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.bundle import Bundle, TowerFile
from retrieval.spec.errors import BundleError
from retrieval.spec.tower import Tower


class FilesEncoder(OfBundle):
    """One file of each tower of a bundle, or of one tower alone, run by their targets.

    Args:
        folder: The bundle.
        bundle: Its manifest.
        files: By tower; all can run on this machine and say how they are called.
        tokenizer: Of the bundle.

    Raises:
        BundleError: A runtime cannot load a file, only a device can, or its manifest does
            not say how it is called.
    """

    def __init__(
        self,
        folder: Path,
        bundle: Bundle,
        files: Mapping[Tower, TowerFile],
        tokenizer: Tokenizer,
    ) -> None:
        super().__init__(bundle)
        self.files = files
        self._tokenizer = tokenizer
        self._runs = {tower: _opened(folder, file) for tower, file in files.items()}

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        return self._run("image", pixels)

    def encode_sentences(self, sentences: Sequence[str]) -> Embeddings:
        return self._run("text", self.tokenizer.batch(sentences))

    def _run(self, tower: Tower, inputs: Inputs) -> Embeddings:
        return self._runs[tower](inputs)


def _opened(folder: Path, file: TowerFile) -> Run:
    if file.interface is None:
        raise BundleError(
            f"{folder / file.file} is of a bundle that does not say how its files are called; "
            "export it again"
        )
    run = find_target(file.format).open(folder / file.file, file.interface)
    if run is None:
        raise BundleError(f"{folder / file.file} cannot run on this machine")
    return run
