"""Between a student's space and a wider teacher's: a projection that keeps all cosines."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from retrieval.compress.teaching.reflections import Reflections
from retrieval.spec.errors import RecipeError, TrainingError
from retrieval.spec.files import replacing


class Bridge(nn.Module):
    """A learned ``(student_dim -> teacher_dim)`` map with orthonormal columns.

    Each tower learns in a stage of its own, yet both must meet in one student space. With
    orthonormal columns ``(W a) . (W b) = a . b``, so whatever pairs of student embeddings the
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
        self.map: nn.Linear | None = None
        if student_dim != teacher_dim:
            linear = nn.Linear(student_dim, teacher_dim, bias=False)
            nn.init.orthogonal_(linear.weight)
            register_parametrization(linear, "weight", Reflections(teacher_dim))
            self.map = linear

    def forward(self, embeddings: Tensor) -> Tensor:
        """``(batch, student_dim)`` to ``(batch, teacher_dim)``, lengths kept."""
        if self.map is None:
            return embeddings
        # In low precision the columns would be orthonormal to two digits only.
        with torch.autocast(embeddings.device.type, enabled=False):
            mapped: Tensor = self.map(embeddings.float())
        return mapped

    @torch.no_grad()
    def start_from_principal_directions(self, *sides: Tensor) -> None:
        """Set the map to the main directions of teacher embeddings.

        They are not centred: what both towers share as a mean is part of the cosines.

        Args:
            sides: Embeddings ``(n, teacher_dim)`` of photos, of sentences or of both; each
                side counts the same, however many rows it has.
        """
        if self.map is None:
            return
        spread = torch.stack([side.float().T @ side.float() / len(side) for side in sides])
        _, vectors = torch.linalg.eigh(spread.sum(dim=0))
        width = self.map.in_features
        self._set(vectors[:, -width:].flip(1))

    def save(self, path: Path) -> None:
        """Write the map, whole or not at all."""
        weight = torch.empty(0) if self.map is None else self.map.weight.detach()
        with replacing(path) as temporary:
            temporary.write_bytes(save({"weight": weight.cpu().contiguous()}))

    @torch.no_grad()
    def load(self, path: Path) -> None:
        """Take the map of an earlier stage and freeze it.

        Raises:
            TrainingError: The file is missing, damaged or between other dimensions.
        """
        try:
            weight = load_file(path)["weight"]
        except (OSError, SafetensorError, KeyError) as error:
            raise TrainingError(
                f"cannot read {path} ({error}); delete {path.parent} and start the run again"
            ) from error
        expected = torch.Size([0]) if self.map is None else self.map.weight.shape
        if weight.shape != expected:
            raise TrainingError(
                f"{path} is of another run: it is {tuple(weight.shape)}, not {tuple(expected)}; "
                f"delete {path.parent} and start the run again"
            )
        if self.map is not None:
            self._set(weight)
        self.requires_grad_(False)

    def _set(self, weight: Tensor) -> None:
        assert self.map is not None
        # Assigning goes through the parametrisation, which completes the columns to a basis.
        self.map.weight = weight.contiguous()
