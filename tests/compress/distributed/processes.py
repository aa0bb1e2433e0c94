"""Two processes on this machine's CPU, joined as torchrun joins them."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from typing import Any

from retrieval.compress.distributed.group import process_group

WORLD = 2


def run_in_processes(work: Callable[..., None], *arguments: Any) -> list[int]:
    """Call ``work(rank, *arguments)`` in each process of a group; exit codes by rank."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_work, args=(rank, port, work, arguments)) for rank in range(WORLD)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
    for worker in workers:
        worker.kill()
        worker.join()
    return [worker.exitcode or 0 for worker in workers]


def _work(rank: int, port: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(WORLD),
        "LOCAL_WORLD_SIZE": str(WORLD),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "CUDA_VISIBLE_DEVICES": "",
        "TORCHELASTIC_RUN_ID": "test",
        "GROUP_RANK": "0",
    }
    with process_group():
        work(rank, *arguments)
