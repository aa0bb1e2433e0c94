import pytest
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from retrieval.compress.loop.settings import Training
from retrieval.compress.prune.norms import settle_norms
from retrieval.compress.prune.pruner import Pruner
from retrieval.compress.prune.settings import Prune
from retrieval.spec.errors import RecipeError
from tests.compress.prune.small_task import SmallLoop, SmallTask
from tests.tiny import tiny_model, tiny_tokenizer

MOBILE = {"kind": "timm", "backbones": [{"name": "mobilenetv3_small_050"}]}


@pytest.fixture
def task() -> SmallTask:
    """A network whose stored statistics are far from what it sees."""
    torch.manual_seed(0)
    task = SmallTask(tiny_model(image=MOBILE), ("image",))
    task.settings = Training(freeze_norm=False)
    for norm in norms(task):
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.2, 3)
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.uniform_(norm.bias, -1, 1)
    return task


def norms(task: SmallTask) -> list[_BatchNorm]:
    return [module for module in task.model.image.modules() if isinstance(module, _BatchNorm)]


@torch.no_grad()
def embeddings(task: SmallTask, *, training: bool) -> Tensor:
    task.train(training)
    for norm in norms(task):
        norm.momentum = 0.0
    pixels = torch.cat([batch[0] for batch in task.batches(0, 0)])
    return task.model.encode_image(pixels)


def test_the_function_stays_and_training_batch_norm_computes_it_too(task: SmallTask) -> None:
    before = embeddings(task, training=False)
    lost = torch.cosine_similarity(before, embeddings(task, training=True)).mean()
    settle_norms(task)
    torch.testing.assert_close(embeddings(task, training=False), before, atol=1e-4, rtol=1e-3)
    kept = torch.cosine_similarity(before, embeddings(task, training=True)).mean()
    assert kept > 0.99 > lost


def test_frozen_statistics_are_refused_for_channels(task: SmallTask) -> None:
    task.settings = Training(freeze_norm=True)
    settings = Prune.model_validate({"granularity": "channel", "budget": {"sparsity": 0.3}})
    with pytest.raises(RecipeError, match="set freeze_norm: false"):
        SmallLoop(task, Pruner(settings, tiny_tokenizer()), total=4)


def test_towers_without_batch_norm_may_keep_it_frozen() -> None:
    task = SmallTask(tiny_model(), ("image", "text"))
    task.settings = Training(freeze_norm=True)
    settle_norms(task)
