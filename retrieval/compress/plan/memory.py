"""Memory of the GPU and of what training steps keep for the backward pass."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def peak_device_memory() -> int | None:
    """Most bytes that PyTorch has taken of the GPU; None without one."""
    return torch.cuda.max_memory_reserved() if torch.cuda.is_available() else None


class SavedBytes:
    """Bytes that forward passes have kept for backward passes, each storage once.

    Attributes:
        most: Of the step that kept most.
    """

    def __init__(self) -> None:
        self.most = 0
        self._seen: dict[int, int] = {}

    def pack(self, tensor: Tensor) -> Tensor:
        """Count a tensor that autograd keeps."""
        storage = tensor.untyped_storage()
        self._seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    def next_step(self) -> None:
        """A step has ended."""
        self.most = max(self.most, sum(self._seen.values()))
        self._seen = {}


@contextmanager
def counting_saved_bytes() -> Iterator[SavedBytes]:
    """Count what autograd keeps while the body runs."""
    saved = SavedBytes()
    with torch.autograd.graph.saved_tensors_hooks(saved.pack, lambda tensor: tensor):
        yield saved
