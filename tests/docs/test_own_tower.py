from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch
import yaml
from pydantic import Field, TypeAdapter

import retrieval.spec.model as specification
from export.targets.graphs import image_graph
from export.targets.onnx.target import OnnxTarget
from export.targets.target import Conversion
from retrieval.models import dual_encoder
from retrieval.models.dual_encoder import DualEncoder
from retrieval.spec.base import Spec
from tests.docs.examples import run_example
from tests.docs.fences import ROOT, Fence, fences
from tests.tiny import SIZE, tiny_model

PAGE = ROOT / "docs" / "how-to" / "own-tower.md"


def test_the_recipe_that_names_a_tower_of_timm_is_understood() -> None:
    image = yaml.safe_load(_blocks("yaml")[0].text)["student"]["image"]
    tower = TypeAdapter(specification.ImageTowerSpec).validate_python(image)
    assert isinstance(tower, specification.TimmTower)


def test_the_tower_of_the_page_becomes_a_model_that_can_be_exported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    spec, module, branch = (fence.text for fence in _blocks("python"))
    width = specification.Width
    known = {"Annotated": Annotated, "Literal": Literal, "Field": Field, "Spec": Spec}
    plain = run_example(PAGE, spec, Width=width, **known)["PlainTower"]
    monkeypatch.setattr(specification, "PlainTower", plain, raising=False)
    tower = run_example(PAGE, module)["PlainImageTower"]
    image = plain.model_validate(yaml.safe_load(_blocks("yaml")[1].text)["student"]["image"])

    body = "".join(f"    {line}\n" for line in branch.splitlines())
    made = run_example(
        PAGE, f"def make(spec, config):\n{body}", PlainTower=plain, PlainImageTower=tower
    )["make"]
    monkeypatch.setattr(dual_encoder, "make_image_tower", lambda config: made(config.image, config))
    config = tiny_model().config.model_copy(update={"image": image})
    model = DualEncoder(config).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3, SIZE, SIZE), dtype=np.uint8)
    graph = image_graph(model)
    conversion = Conversion(model=model, tower="image", graph=graph, examples=pixels)
    target = OnnxTarget()
    assert target.refuses(conversion, "fp32") is None
    written = target.trace(conversion).write(tmp_path / "image.onnx", "fp32")
    found = target.open(tmp_path / "image.onnx", written.interface)(pixels)
    with torch.inference_mode():
        expected = graph(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def _blocks(language: str) -> list[Fence]:
    return [fence for fence in fences(PAGE) if fence.language == language]
