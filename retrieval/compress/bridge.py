"""Between a student's space and a wider teacher's: a projection that keeps all cosines."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal

from retrieval.spec.errors import RecipeError, TrainingError
from retrieval.spec.files import replacing


class Bridge(nn.Module):
    """A learned ``(student_dim -> teacher_dim)`` map with orthonormal columns.

    Each tower learns in a stage of its own, yet both must meet in one student space. With
    orthonormal columns ``(W a) (W b) = a b``, so whatever pairs of student embeddings the
    two stages make, their cosines are those that the teacher's space would show. It starts
    at the teacher's principal directions, is learned in the first stage that uses it and
    frozen from then on. With equal dimensions it is the identity.
    """

    def __init__(self, student_dim: int, teacher_dim: int) -> None:
        super().__init__()
        if student_dim > teacher_dim:
            raise RecipeError(
                f"student.embedding_dim {student_dim} exceeds the teacher's {teacher_dim}; "
                "a student cannot learn directions that its teacher lacks"
            )
        self.map: nn.Module = nn.Identity()
        if student_dim != teacher_dim:
            # The Householder form works in any precision that Fabric may choose.
            linear = nn.Linear(student_dim, teacher_dim, bias=False)
            nn.init.orthogonal_(linear.weight)
            self.map = orthogonal(linear, orthogonal_map="householder")

    def forward(self, embeddings: Tensor) -> Tensor:
        """``(batch, student_dim)`` to ``(batch, teacher_dim)``, lengths kept."""
        return self.map(embeddings)

    @torch.no_grad()
    def start_from_principal_directions(self, teacher: Tensor) -> None:
        """Set the map to the main directions of teacher embeddings ``(n, teacher_dim)``.

        They are not centred: what both towers share as a mean is part of the cosines.
        """
        if isinstance(self.map, nn.Identity):
            return
        teacher = teacher.float()
        _, vectors = torch.linalg.eigh(teacher.T @ teacher)
        width = self.map.weight.shape[1]
        self.map.weight = vectors[:, -width:].flip(1).contiguous()

    def save(self, path: Path) -> None:
        """Write the map, whole or not at all."""
        weight = torch.empty(0) if isinstance(self.map, nn.Identity) else self.map.weight.detach()
        with replacing(path) as temporary:
            save_file({"weight": weight.cpu().contiguous()}, temporary)

    @torch.no_grad()
    def load(self, path: Path) -> None:
        """Take the map of an earlier stage and freeze it.

        Raises:
            TrainingError: The file is damaged.
        """
        try:
            weight = load_file(path)["weight"]
        except (OSError, SafetensorError, KeyError) as error:
            raise TrainingError(f"{path} is damaged ({error}); delete it and the stage") from error
        if not isinstance(self.map, nn.Identity):
            self.map.weight = weight
        self.requires_grad_(False)
