"""What processes agree on: who does what alone, and figures that are the same for all."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from retrieval.spec.errors import LeanclipError

_T = TypeVar("_T")

# What goes between processes outside the training step travels by gloo, never by the GPUs.
_CPU = torch.device("cpu")
_SEEDS = 2**62


def world_size() -> int:
    """Number of processes that train together."""
    return distributed.get_world_size() if _together() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return distributed.get_rank() if _together() else 0


def from_first(make: Callable[[], _T]) -> _T:
    """The first process calls ``make``, while the others wait, and all get its result.

    Raises:
        LeanclipError: Whatever of ours ``make`` raised, in every process; other errors of
            the first process leave the others with a plain LeanclipError.
        KeyboardInterrupt: The first process was interrupted.
    """
    if not _together():
        return make()
    if rank():
        return _received()
    try:
        result = make()
    except BaseException as error:
        _send((False, _portable(error)))
        raise
    _send((True, result))
    return result


def after_first(make: Callable[[], _T]) -> _T:
    """Every process calls ``make``, the first one before all others.

    For what the first downloads, builds or caches and the others find.
    """
    made: list[_T] = []
    from_first(lambda: made.append(make()))
    return made[0] if made else make()


def mean(values: Sequence[float]) -> list[float]:
    """Each figure averaged over all processes, the same everywhere; not a number if one is."""
    if not _together():
        return list(values)
    shared = torch.tensor(values, dtype=torch.float64)
    distributed.all_reduce(shared)
    return [float(value) for value in shared / world_size()]


def any_of(condition: bool) -> bool:
    """Whether a condition holds in at least one process."""
    return mean([float(condition)])[0] > 0


def average(tensors: Iterable[Tensor]) -> None:
    """Replace tensors by their mean over all processes, in place.

    For what is made of one process's part of a batch and is not averaged already, as the
    gradients of a training step are.
    """
    if _together():
        for one in tensors:
            distributed.all_reduce(one)
            one /= world_size()


def averaged(scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of scores, averaged: processes that choose by them choose alike, to the bit."""
    result = {name: score.detach().clone() for name, score in scores.items()}
    average(result.values())
    return result


@contextmanager
def own_noise() -> Iterator[None]:
    """Random numbers of this process alone: dropout, of which each part has its own.

    However many are drawn within, all processes go on with the same random numbers, so that
    what they draw outside (memory banks, negatives, hidden tokens) is the same for all, and
    the same as one process draws.
    """
    seed = int(torch.randint(_SEEDS, ()).item()) + rank()
    cuda = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(cuda):
        torch.manual_seed(seed)
        yield


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _send(message: tuple[bool, Any]) -> None:
    distributed.broadcast_object_list([message], src=0, device=_CPU)


def _received() -> Any:
    box: list[Any] = [None]
    distributed.broadcast_object_list(box, src=0, device=_CPU)
    succeeded, result = box[0]
    if not succeeded:
        raise result
    return result


def _portable(error: BaseException) -> BaseException:
    """What the others raise: it has to survive the way between processes."""
    if isinstance(error, KeyboardInterrupt):
        return KeyboardInterrupt()
    line = str(error) or type(error).__name__
    is_plain = isinstance(error, LeanclipError) and error.args == (line,)
    return type(error)(line) if is_plain else LeanclipError(line)
