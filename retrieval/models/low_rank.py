"""A linear map or a token embedding stored as two thin factors, ``W ~ U V``."""

from torch import Tensor, nn


class LowRankLinear(nn.Module):
    """Two linears in a row: ``expand(reduce(x))``; the bias is in the second.

    Nothing lies between them, so every exporter and quantiser sees two plain linears.

    Args:
        inputs: Features that come in.
        outputs: Features that go out.
        rank: Features in between.
    """

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(inputs, rank, bias=False)
        self.expand = nn.Linear(rank, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., inputs)`` to ``(..., outputs)``."""
        result: Tensor = self.expand(self.reduce(x))
        return result


class LowRankEmbedding(nn.Module):
    """A token embedding as vocabulary x rank, then rank x width (ALBERT, arXiv 1909.11942).

    Args:
        vocabulary: Number of tokens.
        width: Features that go out.
        rank: Features that are stored for each token.
    """

    def __init__(self, vocabulary: int, width: int, rank: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, rank)
        self.expand = nn.Linear(rank, width, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Integer ids ``(...)`` to ``(..., width)``."""
        result: Tensor = self.expand(self.table(ids))
        return result


Linear = nn.Linear | LowRankLinear
Embedding = nn.Embedding | LowRankEmbedding


def make_linear(inputs: int, outputs: int, rank: int | None) -> Linear:
    """A linear, whole or of a rank."""
    return nn.Linear(inputs, outputs) if rank is None else LowRankLinear(inputs, outputs, rank)


def make_embedding(vocabulary: int, width: int, rank: int | None) -> Embedding:
    """A token embedding, whole or of a rank."""
    if rank is None:
        return nn.Embedding(vocabulary, width)
    return LowRankEmbedding(vocabulary, width, rank)


def input_side(linear: Linear) -> nn.Linear:
    """The linear whose weight has one column for each input feature."""
    return linear.reduce if isinstance(linear, LowRankLinear) else linear


def output_side(linear: Linear) -> nn.Linear:
    """The linear whose weight and bias have one row for each output feature."""
    return linear.expand if isinstance(linear, LowRankLinear) else linear


def whole_weight(layer: Linear | Embedding) -> Tensor:
    """The matrix that a layer stands for, ``(outputs, inputs)`` or ``(vocabulary, width)``."""
    if isinstance(layer, LowRankLinear):
        return layer.expand.weight @ layer.reduce.weight
    if isinstance(layer, LowRankEmbedding):
        return layer.table.weight @ layer.expand.weight.T
    return layer.weight


def initialise(layer: Linear | Embedding, std: float) -> None:
    """Fill the weights so that the matrix they stand for has deviation ``std``; zero biases."""
    if isinstance(layer, LowRankLinear):
        # Entries of a product of two random factors have variance rank * first * second.
        each = (std**2 / layer.expand.in_features) ** 0.25
        nn.init.normal_(layer.reduce.weight, std=each)
        nn.init.normal_(layer.expand.weight, std=each)
        nn.init.zeros_(layer.expand.bias)
    elif isinstance(layer, LowRankEmbedding):
        nn.init.normal_(layer.table.weight, std=std)
        nn.init.normal_(layer.expand.weight, std=layer.expand.in_features**-0.5)
    else:
        nn.init.normal_(layer.weight, std=std)
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
