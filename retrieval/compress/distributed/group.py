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


@contextmanager
def process_group() -> Iterator[int]:
    """Join the other processes, if torchrun has started any; yields this one's number.

    All processes must see the same folders: data, caches and the run's own. The first one
    writes them.

    Raises:
        TrainingError: There are fewer GPUs than processes on this machine.
    """
    if _from_environment("WORLD_SIZE") == 1:
        yield 0
        return
    number, local = _from_environment("RANK", 0), _from_environment("LOCAL_RANK", 0)
    backend = "gloo"
    if torch.cuda.is_available():
        gpus, processes = torch.cuda.device_count(), _local_world_size()
        if gpus < processes:
            raise TrainingError(
                f"{processes} processes on a machine with {gpus} GPU{'s' * (gpus > 1)}; "
                f"start {gpus} with --nproc-per-node, or none of them with a GPU "
                "(CUDA_VISIBLE_DEVICES= torchrun ...)"
            )
        torch.cuda.set_device(local)
        backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield number
    except Exception:
        if number:
            time.sleep(_SECONDS_FOR_FIRST)
        raise
    finally:
        distributed.destroy_process_group()


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


def _from_environment(name: str, otherwise: int = 1) -> int:
    return int(os.environ.get(name, otherwise))
