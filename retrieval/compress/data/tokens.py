"""Sentences as token batches that carry no more padding than they must."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.model import TextTower

Ids = NDArray[np.int32]


def token_lengths(ids: Ids, tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Tokens of each row up to and with its first end token; ``(rows,)``."""
    lengths: NDArray[np.int64] = (ids == tokenizer.spec.end_id).argmax(axis=1) + 1
    return lengths


def trimmed(ids: Ids, tower: TextTower) -> Tensor:
    """Rows as a tensor without the columns that are padding in all of them.

    A causal tower that pools at the end token gives the same result without them; any
    other tower gets all of them. Column counts are rounded up to a multiple of four, so
    that few shapes occur.
    """
    if not tower.causal:
        return torch.from_numpy(ids.astype(np.int64))
    used = np.flatnonzero((ids != 0).any(axis=0))
    length = int(used[-1]) + 1 if len(used) else 1
    return torch.from_numpy(ids[:, : min(ids.shape[1], -(-length // 4) * 4)].astype(np.int64))


def hide_tokens(ids: Tensor, rate: float, tokenizer: Tokenizer) -> Tensor:
    """Replace a random share of words' tokens by padding's id, as a regulariser."""
    if rate == 0:
        return ids
    spec = tokenizer.spec
    is_mark = (ids == spec.start_id) | (ids == spec.end_id)
    hidden = (torch.rand(ids.shape, device=ids.device) < rate) & ~is_mark
    return ids.masked_fill(hidden, spec.pad_id)


def used_tokens(ids: Tensor, tokenizer: Tokenizer) -> Tensor:
    """Positions up to and with the first end token, boolean ``(rows, length)``."""
    is_end = (ids == tokenizer.spec.end_id).int()
    return is_end.cumsum(dim=1) - is_end == 0
