"""The two kinds of work on a shard, as values that can be sent to another machine."""

import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from retrieval.bulk.folder import OutputFolder
from retrieval.bulk.ivfpq import write_part
from retrieval.bulk.plan import Plan, key_of, read_plan
from retrieval.bulk.shard import Advance, embed_shard
from retrieval.encode.load import open_encoder
from retrieval.encode.protocol import Encoder
from retrieval.hub.names import DEFAULT, model_folder
from retrieval.hub.store import packaged_bundle
from retrieval.spec.errors import CacheError, CorpusError, LeanclipError


class PartOfIndex(NamedTuple):
    """One shard's part of a compressed index is to be made."""

    number: int
    trained: str
    array: str
    part: str


class Outcome(NamedTuple):
    """What became of one piece of work."""

    number: int
    problem: str = ""
    """One line; empty when it is done."""
    ends_all: bool = False
    """Whether other shards would meet the same problem, such as a full disk."""


class AdvanceShard(Protocol):
    """Told how far a shard is."""

    def __call__(self, number: int, done: int, total: int) -> None:
        """``done`` of ``total`` photos of a shard are through."""


class Runner(Protocol):
    """Where shards are worked on."""

    def embed(self, numbers: Sequence[int], advance: AdvanceShard) -> Iterator[Outcome]:
        """Embed shards of the plan; outcomes come as they are known, in any order."""

    def index(self, parts: Sequence[PartOfIndex]) -> Iterator[Outcome]:
        """Make parts of an index; outcomes come as they are known, in any order."""


class Workplace:
    """A model and an output folder, opened when the first shard needs them.

    Args:
        out: The output folder.
        model: For `open_encoder`.
        threads: Threads of the encoder; None takes all cores.
        decoders: Processes that decode photos.
    """

    def __init__(self, out: Path, model: str, *, threads: int | None, decoders: int) -> None:
        self._out = OutputFolder(out)
        self._model = model
        self._threads = threads
        self._decoders = decoders
        self._opened: tuple[Plan, Encoder] | None = None

    def embed(self, number: int, advance: Advance | None = None) -> Outcome:
        """Embed one shard; expected problems are in the outcome."""
        try:
            plan, encoder = self._open()
            if self._out.summary(number) is None:
                embed_shard(
                    encoder, self._out, plan, number, decoders=self._decoders, advance=advance
                )
        except (LeanclipError, OSError) as error:
            return Outcome(number, _line(error), not isinstance(error, CorpusError))
        return Outcome(number)

    def index(self, work: PartOfIndex) -> Outcome:
        """Make one part of an index; expected problems are in the outcome."""
        try:
            dim = self._plan().dim
            write_part(Path(work.trained), Path(work.array), dim, Path(work.part))
        except (LeanclipError, OSError) as error:
            return Outcome(work.number, _line(error), ends_all=True)
        return Outcome(work.number)

    def _open(self) -> tuple[Plan, Encoder]:
        if self._opened is None:
            plan = self._plan()
            encoder = open_encoder(self._model, threads=self._threads)
            if key_of(encoder) != plan.key:
                raise CacheError(
                    f"{self._model} is another model on this machine ({encoder.name}, "
                    f"{encoder.fingerprint[:12]}) than where the work was planned"
                )
            self._opened = plan, encoder
        return self._opened

    def _plan(self) -> Plan:
        plan = read_plan(self._out)
        if plan is None:
            raise CacheError(
                f"there is no {self._out.plan} on {platform.node()}: every machine must see "
                "the sources and the output folder under the same paths"
            )
        return plan


def named_model(model: str) -> str:
    """A model's name as it holds on every machine: ``default``, or an absolute path.

    Raises:
        BundleError: This installation carries no default model.
    """
    folder = model_folder(model)
    # Each installation has its own copy of the packaged model, unless told to use another.
    packaged = model == DEFAULT and folder == packaged_bundle()
    return DEFAULT if packaged else str(folder.absolute())


def _line(error: LeanclipError | OSError) -> str:
    if isinstance(error, LeanclipError):
        return str(error)
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"
