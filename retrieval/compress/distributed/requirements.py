"""What a recipe has to allow for so that several processes can train as one."""

from typing import TYPE_CHECKING

from torch import nn

from retrieval.compress.distributed.ranks import world_size
from retrieval.compress.stages.settings import TrainingStage
from retrieval.spec.errors import RecipeError

if TYPE_CHECKING:
    from retrieval.compress.loop.task import Task
    from retrieval.compress.recipe import Recipe


def require_even_parts(recipe: "Recipe") -> None:
    """Refuse batches of which processes would have unequal parts.

    Raises:
        RecipeError: A ``batch_size`` is no multiple of the number of processes.
    """
    processes = world_size()
    for number, stage in enumerate(recipe.stages):
        if not isinstance(stage, TrainingStage):
            continue
        size = stage.training.batch_size
        if size % processes:
            raise RecipeError(
                f"stages.{number}.training.batch_size is {size}, which cannot be divided among "
                f"{processes} processes; choose a multiple of {processes}"
            )


def require_fixed_norms(task: "Task") -> None:
    """Refuse batch norm that would take statistics of a process's part of each batch.

    Raises:
        RecipeError: ``freeze_norm`` is off and a tower in training has batch norm.
    """
    if world_size() == 1 or task.settings.freeze_norm:
        return
    for tower in task.towers:
        modules = getattr(task.model, tower).modules()
        if any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in modules):
            raise RecipeError(
                f"training.freeze_norm is false, but each of {world_size()} processes would "
                f"normalise the {tower} tower by its own part of a batch; set it to true, or "
                "train with one process"
            )
