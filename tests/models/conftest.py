"""Folders of Hugging Face transformers that the tests of this folder share."""

from pathlib import Path
from typing import Any

import pytest

from tests.hugging_face import clip_folder, siglip_folder


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A CLIP folder and transformers' model of it. Do not change it."""
    folder = tmp_path_factory.mktemp("hf") / "clip"
    return folder, clip_folder(folder)


@pytest.fixture(scope="session")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A SigLIP folder and transformers' model of it. Do not change it."""
    folder = tmp_path_factory.mktemp("hf") / "siglip"
    return folder, siglip_folder(folder)


@pytest.fixture(scope="session")
def siglip2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A SigLIP 2 folder, whose tokenizer is JSON alone. Do not change it."""
    folder = tmp_path_factory.mktemp("hf") / "siglip2"
    return folder, siglip_folder(folder, kind="bpe")
