"""Matrices replaced by two thin factors: dense, and so fast everywhere.

What pruning leaves of a matrix is close to low rank (LPAF, arXiv 2306.14152): prune first,
then factorise, then train on.
"""

from collections.abc import Collection
from typing import Any, get_args

import torch
from torch import Tensor

from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.low_rank import Linear, LowRankEmbedding, output_side, whole_weight
from retrieval.models.surgery.shrink import State, rebuilt
from retrieval.models.surgery.transformer import WIDTH_MULTIPLE, OurTransformer
from retrieval.models.text import TextTransformer
from retrieval.spec.errors import SurgeryError
from retrieval.spec.model import LinearName, Transformer
from retrieval.spec.tower import Tower

LINEARS: tuple[LinearName, ...] = get_args(LinearName)


@torch.no_grad()
def factorise(
    model: DualEncoder,
    tower: Tower,
    *,
    rank: int | None = None,
    energy: float | None = None,
    linears: Collection[LinearName] = LINEARS,
) -> DualEncoder:
    """A new model whose linears are the best two factors of what they were.

    Each matrix is cut off behind its largest singular values, the nearest of that rank in
    the Frobenius norm (Eckart and Young); a matrix that is factorised already is taken as
    the product of its factors. It becomes or stays whole where factors would hold no fewer
    weights.

    Args:
        model: Not changed.
        tower: A side that is a transformer of ours.
        rank: The rank of every chosen matrix, a multiple of 8; or
        energy: the share of the sum of squared singular values that each must keep, over 0
            and at most 1; its rank is then rounded up to a multiple of 8.
        linears: Which matrices of every layer.

    Raises:
        SurgeryError: The side is no transformer of ours, or rank, energy and names do not fit.
    """
    side = getattr(model, tower)
    if not isinstance(side, OurTransformer):
        raise SurgeryError(f"the {tower} tower is no transformer of ours: it has no low-rank form")
    _check_request(rank, energy, linears)
    state: State = dict(side.state_dict())
    spec = getattr(model.config, tower)
    ranks = [one.model_dump() for one in spec.blocks.ranks_of_layers]
    for number, block in enumerate(side.blocks):
        names = {id(module): name for name, module in block.named_modules()}
        for linear in linears:
            module = block.linears[linear]
            prefix = f"blocks.{number}.{names[id(module)]}"
            for name in [name for name in state if name.startswith(f"{prefix}.")]:
                del state[name]
            ranks[number][linear], weights = _factors(module, rank, energy)
            state |= {f"{prefix}.{name}": tensor for name, tensor in weights.items()}
    blocks = Transformer.model_validate(spec.blocks.model_dump() | {"ranks": ranks})
    return _with(model, tower, {"blocks": blocks}, state)


@torch.no_grad()
def factorise_embedding(model: DualEncoder, rank: int) -> DualEncoder:
    """A new model whose token embedding is vocabulary x rank and rank x width.

    The second factor has orthonormal columns, so that distances between the stored vectors of
    tokens are, as far as their rank goes, those between tokens before.

    Args:
        model: Not changed.
        rank: A multiple of 8, small enough that the factors hold fewer weights.

    Raises:
        SurgeryError: The rank does not fit.
    """
    _check_rank(rank)
    tower = model.text
    assert isinstance(tower, TextTransformer)
    weight = whole_weight(tower.token_embedding)
    vocabulary, width = weight.shape
    if rank * (vocabulary + width) >= weight.numel():
        raise SurgeryError(
            f"a token embedding of {vocabulary} x {width} is not smaller at rank {rank}; "
            "choose a lower one"
        )
    state = {
        name: tensor
        for name, tensor in tower.state_dict().items()
        if not name.startswith("token_embedding.")
    }
    table, expand = _embedding_factors(weight, rank)
    state["token_embedding.table.weight"] = table
    state["token_embedding.expand.weight"] = expand
    return _with(model, "text", {"embedding_rank": rank}, state)


def set_token_embedding(tower: TextTransformer, weight: Tensor) -> None:
    """Give a text tower the token embedding ``weight``, ``(vocabulary, width)``, in place.

    A factorised one takes the nearest of its rank.

    Raises:
        SurgeryError: Sizes differ.
    """
    embedding = tower.token_embedding
    present = tuple(whole_weight(embedding).shape)
    if tuple(weight.shape) != present:
        raise SurgeryError(f"a token embedding of {tuple(weight.shape)} does not fit {present}")
    with torch.no_grad():
        if not isinstance(embedding, LowRankEmbedding):
            embedding.weight.copy_(weight)
            return
        table, expand = _embedding_factors(weight, embedding.expand.in_features)
        embedding.table.weight.copy_(table)
        embedding.expand.weight.copy_(expand)


def _embedding_factors(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Table ``(vocabulary, rank)`` and expansion ``(width, rank)``."""
    left, values, right = torch.linalg.svd(weight.float(), full_matrices=False)
    return left[:, :rank] * values[:rank], right[:rank].T


def _factors(linear: Linear, rank: int | None, energy: float | None) -> tuple[int | None, State]:
    """Rank and weights by their names in the layer; no rank where it is better whole."""
    weight = whole_weight(linear)
    outputs, inputs = weight.shape
    left, values, right = torch.linalg.svd(weight.float(), full_matrices=False)
    if rank is None:
        assert energy is not None
        rank = rank_for_energy(values, energy)
    bias = output_side(linear).bias
    if rank * (outputs + inputs) >= weight.numel():
        return None, {"weight": weight, "bias": bias}
    # Both factors get the same norm, so that one learning rate suits both.
    root = values[:rank].sqrt()
    reduce, expand = root[:, None] * right[:rank], left[:, :rank] * root
    return rank, {"reduce.weight": reduce, "expand.weight": expand, "expand.bias": bias}


def rank_for_energy(values: Tensor, energy: float) -> int:
    """Fewest singular values that keep a share of the sum of squares, in multiples of 8.

    Args:
        values: Singular values, descending, ``(n,)``.
        energy: Share to keep, over 0 and at most 1.
    """
    share = values.double().square().cumsum(0)
    needed = int((share < energy * share[-1]).sum()) + 1
    return -(-needed // WIDTH_MULTIPLE) * WIDTH_MULTIPLE


def _with(model: DualEncoder, side: Tower, update: dict[str, Any], state: State) -> DualEncoder:
    spec = getattr(model.config, side).model_copy(update=update)
    states = {"image": model.image.state_dict(), "text": model.text.state_dict(), side: state}
    return rebuilt(model, model.config.model_copy(update={side: spec}), states)


def _check_request(rank: int | None, energy: float | None, linears: Collection[LinearName]) -> None:
    if (rank is None) == (energy is None):
        raise SurgeryError("say either the rank of the factors or the share of energy to keep")
    if rank is not None:
        _check_rank(rank)
    if energy is not None and not 0 < energy <= 1:
        raise SurgeryError(f"the share of energy to keep must lie over 0 and up to 1, not {energy}")
    if unknown := set(linears) - set(LINEARS):
        raise SurgeryError(
            f"no linear is called {sorted(unknown)[0]}; there are {', '.join(LINEARS)}"
        )


def _check_rank(rank: int) -> None:
    if rank < WIDTH_MULTIPLE or rank % WIDTH_MULTIPLE:
        raise SurgeryError(f"a rank must be a positive multiple of {WIDTH_MULTIPLE}, not {rank}")
