"""A teacher embeds on the device on which stages train."""

from pathlib import Path

import pytest
import torch

from retrieval.compress.distributed.group import make_fabric, own_device
from retrieval.compress.loop.reporter import SilentReporter
from retrieval.compress.teaching.teacher import Teacher
from retrieval.encode.torch import TorchEncoder
from retrieval.models.checkpoint import load_checkpoint
from tests.compress.small_runs import write_teacher


def test_the_device_of_stages_is_the_process_own() -> None:
    assert own_device() == make_fabric("32-true").device


@pytest.mark.parametrize("stock", [False, True], ids=["checkpoint", "stock"])
def test_a_teacher_is_opened_on_the_process_own_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stock: bool
) -> None:
    checkpoint = write_teacher(tmp_path / "teacher", dim=24)
    module = "retrieval.compress.teaching.teacher"
    monkeypatch.setattr(f"{module}.load_stock", lambda _: load_checkpoint(checkpoint))
    # A device that every machine has, and that none would choose.
    monkeypatch.setattr(f"{module}.own_device", lambda: torch.device("meta"))
    source = "open_clip:stands/in" if stock else str(checkpoint)
    encoder = Teacher(source, tmp_path / "caches", SilentReporter()).encoder
    assert isinstance(encoder, TorchEncoder)
    assert {one.device.type for one in encoder.checkpoint.model.parameters()} == {"meta"}
