"""Which units stay at present, and the silence of the others."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from retrieval.models.surgery.units import Group


class Masks(nn.Module):
    """A boolean per unit, stored with the weights of the module that it is a part of.

    So weights that are kept as the best so far keep the masks that they were judged with.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        super().__init__()
        self._groups = tuple(groups)
        for number, group in enumerate(groups):
            device = group.members[0].parameter.device
            everything = torch.ones(group.units, dtype=torch.bool, device=device)
            self.register_buffer(f"group_{number}", everything)

    @property
    def keep(self) -> dict[str, Tensor]:
        """For each group by name, which units stay, boolean ``(units,)``."""
        return {
            group.name: self.get_buffer(f"group_{number}")
            for number, group in enumerate(self._groups)
        }

    def choose(self, keep: Mapping[str, Tensor]) -> None:
        """Take another selection."""
        for name, mask in self.keep.items():
            mask.copy_(keep[name])

    def silence(self) -> None:
        """Zero what makes the units that go heard; their other weights stay."""
        for group, mask in zip(self._groups, self.keep.values(), strict=True):
            group.silence(mask)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Units that go are silent within, and speak again after."""
        present = {
            member.parameter: member.parameter.detach().clone()
            for group, mask in zip(self._groups, self.keep.values(), strict=True)
            if not mask.all()
            for member in group.silencers
        }
        self.silence()
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in present.items():
                    parameter.copy_(value)
