"""The processes that torchrun starts become one group; each stage gets its Fabric."""

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import distributed

from retrieval.compress.distributed.ranks import world_size
from retrieval.spec.errors import TrainingError

# The others wait while the first process builds the caches of its teachers.
_PATIENCE = timedelta(days=14)

# torchrun ends the other processes as soon as one has failed. All know why, and one line is
# enough: the others hold theirs back until that has happened.
_SECONDS_FOR_FIRST = 10.0

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


def is_first_process() -> bool:
    """Whether torchrun started this process as the first, or the user started it alone."""
    return not _from_environment("RANK", 0)


@contextmanager
def process_group() -> Iterator[None]:
    """Join the other processes, if torchrun has started any.

    All processes must see the same folders: data, caches and the run's own. The first one
    writes them.

    Raises:
        TrainingError: There are fewer GPUs than processes on this machine.
    """
    if _from_environment("WORLD_SIZE", 1) == 1:
        yield
        return
    try:
        distributed.init_process_group(_backend(), timeout=_PATIENCE)
        yield
    except Exception:
        if not is_first_process():
            time.sleep(_SECONDS_FOR_FIRST)
        raise
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _backend() -> str:
    if not torch.cuda.is_available():
        return "gloo"
    gpus, processes = torch.cuda.device_count(), _from_environment("LOCAL_WORLD_SIZE", 1)
    if gpus < processes:
        raise TrainingError(
            f"there are {processes} processes, but {gpus} GPU{'s' * (gpus > 1)} on this machine; "
            f"start {gpus} with --nproc-per-node, or train on processors with "
            "CUDA_VISIBLE_DEVICES= torchrun"
        )
    torch.cuda.set_device(_from_environment("LOCAL_RANK", 0))
    return "cpu:gloo,cuda:nccl"


def own_device() -> torch.device:
    """Where this process computes, in every stage: its accelerator if there is one."""
    if world_size() == 1:
        return Fabric(accelerator="auto", devices=1).device
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def make_fabric(precision: Precision) -> Fabric:
    """Fabric for this process: its device, and DDP where there are several processes."""
    if world_size() == 1:
        return Fabric(accelerator="auto", devices=1, precision=precision)
    local = _local_world_size()
    # Modifiers may leave parts of a model out of a step. Buffers are the same everywhere, and
    # among them are the teacher's embeddings of the whole corpus: nothing to send each step.
    # Torch 2.13 calls that argument by another name, which torch 2.6 does not know.
    warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")
    strategy = DDPStrategy(find_unused_parameters=True, broadcast_buffers=False)
    fabric = Fabric(
        accelerator="cuda" if torch.cuda.is_available() else "cpu",
        devices=local,
        num_nodes=world_size() // local,
        strategy=strategy,
        precision=precision,
    )
    fabric.launch()
    return fabric


def _local_world_size() -> int:
    return _from_environment("LOCAL_WORLD_SIZE", world_size())


def _from_environment(name: str, otherwise: int) -> int:
    return int(os.environ.get(name, otherwise))
