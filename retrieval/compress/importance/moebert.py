"""MoEBERT's score of neurons, for each sample, and ETD's score of heads."""

from typing import Literal

from torch import nn

from retrieval.compress.importance.importance import Context, Criterion
from retrieval.compress.importance.samples import SampleImportance, Site, gate_sites
from retrieval.models.surgery.units import Group, Member
from retrieval.spec.errors import RecipeError


class MoEBERT(Criterion):
    """What a neuron or head does for each sample; signs of samples do not cancel.

    A neuron j of ``down(activation(up(x)))`` scores
    ``sum over samples of |up_j . gradient of up_j + down_j . gradient of down_j|`` with the
    gradients of one sample (Zuo et al., NAACL 2022); a head
    ``sum over samples of |output . gradient of output|`` (Chen et al., 2021, ETD-Impt).
    """

    criterion: Literal["moebert"] = "moebert"
    normalise: bool = False
    """Divide the scores of each group by their L2 norm, so that groups compare."""

    def start(self, context: Context) -> SampleImportance:
        sites = {group.name: _sites(group, context.model) for group in context.groups}
        return SampleImportance(context.groups, sites, normalise=self.normalise)


def _sites(group: Group, model: nn.Module) -> list[Site]:
    if group.granularity not in ("neuron", "head"):
        raise RecipeError(
            f"importance moebert scores neurons and heads, but {group.name} is of granularity "
            f"{group.granularity}; choose taylor with per: sample"
        )
    sites = gate_sites(group, "moebert")
    if group.granularity == "neuron":
        # By the chain rule a sample's w . dL/dw of a row is the sum over positions of what the
        # row adds to the output times the output's gradient.
        sites += [
            _row_site(member, model)
            for member in group.members
            if member.dim == 0 and member.parameter.ndim == 2
        ]
    return sites


def _row_site(member: Member, model: nn.Module) -> Site:
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.weight is member.parameter:
            return Site(module, "output", member.owner, module.bias)
    raise RecipeError(
        f"importance moebert needs a linear layer with the weight {member.name}, which the "
        "model lacks; choose taylor with per: sample"
    )
