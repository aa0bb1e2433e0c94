"""Matrices with orthonormal columns, as products of Householder reflections."""

import torch
from torch import Tensor, nn


class Reflections(nn.Module):
    """Parametrises a ``(rows, columns)`` matrix so that its columns stay orthonormal.

    The matrix is ``B H_1 ... H_k E``, up to a sign, where ``H_i = I - 2 v_i v_i' / v_i' v_i``,
    ``v_i`` has a one in row i, free numbers below it and zeros above; ``E`` is the first k
    columns of the identity, and ``B`` an orthogonal matrix that an assignment sets, so that
    every assigned matrix is a good place to start from. It is the map of
    ``torch.nn.utils.parametrizations.orthogonal`` with its Householder form, whose backward
    pass takes one reflection at a time: 75 ms for 512 x 256, 320 ms for 1024 x 256 on two
    cores, against 3 and 6 ms here. All of them at once are ``I - V T V'`` (Schreiber and Van
    Loan, SIAM 1989), where the inverse of T is the upper triangle of ``V'V``, its diagonal
    halved.

    Args:
        rows: At least as many as columns.
    """

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.base: Tensor
        self.register_buffer("base", torch.eye(rows))

    def forward(self, free: Tensor) -> Tensor:
        """The matrix; of ``free`` only what lies below the diagonal counts."""
        identity = torch.eye(*free.shape, dtype=free.dtype, device=free.device)
        vectors = free.tril(-1) + identity
        products = vectors.T @ vectors
        inverse = products.triu(1) + torch.diag(products.diagonal() / 2)
        top = vectors[: free.shape[1]]
        turned = vectors @ torch.linalg.solve_triangular(inverse, top.T, upper=True)
        matrix: Tensor = self.base @ (turned - identity)
        return matrix

    @torch.no_grad()
    def right_inverse(self, matrix: Tensor) -> Tensor:
        """Make ``matrix``, whose columns are orthonormal, the present one."""
        columns = matrix.shape[1]
        whole = torch.linalg.qr(matrix, mode="complete")[0]
        self.base.copy_(torch.cat([matrix, whole[:, columns:]], dim=1))
        return torch.zeros_like(matrix)
