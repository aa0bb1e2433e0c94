"""Shards on the machines of a Ray cluster, by Ray Data.

Tasks, not actors: a task that is lost with its process or its machine goes to any other, while
a task of an actor waits for a place where that actor can start again. The process that runs
tasks keeps its encoder from one to the next.
"""

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from retrieval.bulk.folder import OutputFolder
from retrieval.bulk.work import AdvanceShard, Outcome, PartOfIndex, Workplace
from retrieval.spec.errors import LeanclipError, MissingExtraError
from retrieval.spec.reasons import in_one_line

LOCAL = "local"

TRIES = 4
"""How often a shard is begun whose process is killed each time."""

_CONNECT_SECONDS = 10
# Read by Ray when it is imported or started; what the user has set stays.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_DATA_LOG_LEVEL": "CRITICAL",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # It prints on standard output what happens to its workers; what matters is in the outcome.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}


class RayRunner:
    """A Ray cluster as a `Runner`; use it as a context manager.

    Each shard takes one processor: one thread encodes, one process decodes beside it. Every
    machine needs leanclip, and must see sources, model and output under the same paths.

    Args:
        address: ``local`` starts Ray here, ``auto`` finds the cluster that this machine
            belongs to; else the cluster's address, as ``ray.init`` takes it.
        out: The output folder.
        model: For `open_encoder`.
        workers: Most shards at a time; None takes as many as the cluster has processors.

    Raises:
        MissingExtraError: Ray is not installed.
        LeanclipError: No cluster answers.
    """

    def __init__(self, address: str, out: Path, model: str, workers: int | None = None) -> None:
        self._address = address
        self._where = {"out": str(out), "model": model}
        self._workers = workers
        self._ray = _quiet_ray()

    def __enter__(self) -> Self:
        _check_reachable(self._address)
        try:
            self._ray.init(
                address=self._address,
                include_dashboard=False if self._address == LOCAL else None,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            first = in_one_line(error)
            raise LeanclipError(f"no Ray cluster answers at {self._address}: {first}") from error
        return self

    def __exit__(self, *error: object) -> None:
        self._ray.shutdown()

    def embed(self, numbers: Sequence[int], advance: AdvanceShard) -> Iterator[Outcome]:
        """See `Runner.embed`; progress inside a shard is not told."""
        tries = _tries(self._where["out"])
        shutil.rmtree(tries, ignore_errors=True)
        yield from self._map(_embed, [{"number": number} for number in numbers])
        shutil.rmtree(tries, ignore_errors=True)

    def index(self, parts: Sequence[PartOfIndex]) -> Iterator[Outcome]:
        """See `Runner.index`."""
        yield from self._map(_index, [part._asdict() for part in parts])

    def _map(
        self, work: Callable[..., dict[str, Any]], items: list[dict[str, Any]]
    ) -> Iterator[Outcome]:
        data = self._ray.data
        dataset = data.from_items(items, override_num_blocks=len(items)).map(
            work,
            fn_kwargs=self._where,
            compute=data.TaskPoolStrategy(self._workers),
            num_cpus=1,
        )
        for row in dataset.iter_rows():
            yield Outcome(**row)


def _embed(row: dict[str, Any], *, out: str, model: str) -> dict[str, Any]:
    number = int(row["number"])
    tries = _tries(out) / str(number)
    tries.mkdir(parents=True, exist_ok=True)
    earlier = sum(1 for _ in tries.iterdir())
    if earlier >= TRIES:
        # Ray itself would start it again for ever, and each time it may take a machine along.
        return Outcome(number, f"its process was killed {earlier} times")._asdict()
    os.close(tempfile.mkstemp(dir=tries)[0])
    return _workplace(out, model).embed(number)._asdict()


def _index(row: dict[str, Any], *, out: str, model: str) -> dict[str, Any]:
    return _workplace(out, model).index(PartOfIndex(**row))._asdict()


def _tries(out: str) -> Path:
    """A file for each start of a shard, by shard."""
    return OutputFolder(Path(out)).home / "tries"


def _check_reachable(address: str) -> None:
    """Refuse an address where nobody listens; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            reason = error.strerror or str(error)
            raise LeanclipError(f"no Ray cluster answers at {address}: {reason}") from error


@cache
def _workplace(out: str, model: str) -> Workplace:
    return Workplace(Path(out), model, threads=1, decoders=1)


def _quiet_ray() -> ModuleType:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise MissingExtraError("--ray", "distributed") from error
    return ray
