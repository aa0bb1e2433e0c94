"""Hidden states of a student's tower and of its teacher's, matched layer by layer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from retrieval.compress.losses.hidden import HiddenRegression, LayerMap
from retrieval.models.text import TextTransformer
from retrieval.models.transformer import Attention
from retrieval.models.vit import VisionTransformer
from retrieval.spec.errors import RecipeError

OurTower = TextTransformer | VisionTransformer


class HiddenStates(nn.Module):
    """Runs the teacher's tower beside the student's and pairs their hidden states (TinyBERT).

    The student's states are those of its last forward pass. Positions after the end of a
    sentence take no part: nothing depends on them.

    Args:
        loss: Layer map, and whether attention maps are matched too.
        student: Tower in training.
        teacher: Tower with the same tokens or patches; stays as it is.

    Raises:
        RecipeError: The towers cannot be matched.
    """

    def __init__(self, loss: HiddenRegression, student: nn.Module, teacher: nn.Module) -> None:
        super().__init__()
        for tower in (student, teacher):
            if not isinstance(tower, OurTower):
                raise RecipeError(
                    "losses.hidden needs transformer towers of ours on both sides; leave it out"
                )
        assert isinstance(student, OurTower)
        assert isinstance(teacher, OurTower)
        self.matches = matched_layers(loss.layers, len(student.blocks), len(teacher.blocks))
        self.teacher = teacher.requires_grad_(False)
        self._student_states = _Recorder(student, attention=loss.attention)
        self._teacher_states = _Recorder(teacher, attention=loss.attention)
        if loss.attention and self._student_states.heads != [
            self._teacher_states.heads[layer - 1] for layer in self.matches
        ]:
            raise RecipeError(
                "losses.hidden.attention needs as many heads in each student layer as in the "
                "teacher layer it follows; set it to false"
            )
        widths = [tower.spec.blocks.width for tower in (student, teacher)]
        self.projection = nn.Linear(*widths, bias=False)
        nn.init.orthogonal_(self.projection.weight)

    def forward(self, inputs: Tensor, used: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Pairs of the student's last forward pass on ``inputs`` and the teacher's.

        Args:
            inputs: What the student has just been given.
            used: Which positions count, boolean ``(batch, length)``.

        Returns:
            Projected student states and teacher states, each ``(positions, width)``; with
            attention maps, also pairs of scores.
        """
        self.teacher.eval()
        with torch.no_grad():
            self.teacher(inputs)
        own, wanted = self._student_states.hidden, self._teacher_states.hidden
        pairs = [
            (self.projection(own[layer][used].float()), wanted[match][used].float())
            for layer, match in enumerate([0, *self.matches])
        ]
        for layer, match in enumerate(self.matches):
            if self._student_states.scores:
                both = used.unsqueeze(1) & used.unsqueeze(2)
                scores = (
                    self._student_states.scores[layer],
                    self._teacher_states.scores[match - 1],
                )
                pairs.append(tuple(one.movedim(1, -1)[both].float() for one in scores))  # type: ignore[arg-type]
        return pairs


def matched_layers(layers: LayerMap, student: int, teacher: int) -> list[int]:
    """The teacher layer, counted from 1, that each of ``student`` layers follows.

    ``uniform`` is ``g(m) = m N / M`` of TinyBERT, rounded where N is no multiple of M.

    Raises:
        RecipeError: The student is deeper than its teacher, or the list does not fit.
    """
    if not isinstance(layers, str):
        if len(layers) != student or not all(1 <= layer <= teacher for layer in layers):
            raise RecipeError(
                f"losses.hidden.layers must list {student} numbers from 1 to {teacher}, "
                f"not {list(layers)}"
            )
        return list(layers)
    if student > teacher:
        raise RecipeError(
            f"losses.hidden: {student} student layers cannot each follow one of {teacher} "
            "teacher layers in order; list them in losses.hidden.layers"
        )
    if layers == "uniform":
        return [round(number * teacher / student) for number in range(1, student + 1)]
    first = 1 if layers == "first" else teacher - student + 1
    return list(range(first, first + student))


class _Recorder:
    """Keeps what passes through a tower: the stream before and after each block."""

    def __init__(self, tower: OurTower, *, attention: bool) -> None:
        blocks = list(tower.blocks)
        self.hidden: list[Tensor] = [torch.empty(0)] * (len(blocks) + 1)
        self.scores: list[Tensor] = [torch.empty(0)] * len(blocks) if attention else []
        self.heads = [block.attention.heads for block in blocks]
        tower.blocks.register_forward_pre_hook(lambda _, given: self._keep(0, given[0]))
        for number, block in enumerate(blocks, start=1):
            block.register_forward_hook(self._keeper(number))
            if attention:
                block.attention.register_forward_pre_hook(self._scorer(number - 1))

    def _keep(self, number: int, state: Tensor) -> None:
        self.hidden[number] = state

    def _keeper(self, number: int) -> Callable[..., None]:
        return lambda _, given, state: self._keep(number, state)

    def _scorer(self, number: int) -> Callable[..., None]:
        def score(attention: nn.Module, given: Any) -> None:
            assert isinstance(attention, Attention)
            self.scores[number] = _attention_scores(attention, given[0])

        return score


def _attention_scores(attention: Attention, x: Tensor) -> Tensor:
    """Scores before the softmax, ``(batch, heads, length, length)``; masked ones are 0."""
    batch, length, _ = x.shape
    query, key = (
        part(x).view(batch, length, attention.heads, attention.head_dim).transpose(1, 2)
        for part in (attention.query, attention.key)
    )
    scores: Tensor = query @ key.transpose(-2, -1) * attention.head_dim**-0.5
    return scores.tril() if attention.causal else scores
