import pytest
import torch
import torch.nn.functional as F
from pydantic import TypeAdapter, create_model

from retrieval.compress.importance.registry import AnyCriterion
from retrieval.compress.losses.registry import Losses
from retrieval.compress.losses.step import Side, Step
from tests.docs.examples import run_example
from tests.docs.fences import ROOT, fences

PAGE = ROOT / "docs" / "how-to" / "own-loss.md"
TABLES = ROOT / "docs" / "compression.md"


def test_the_loss_of_the_page_works_as_it_stands() -> None:
    file, line = (fence.text for fence in fences(PAGE))
    margin = run_example(PAGE, file)["HardestMargin"]
    assert line.strip() == "margin: HardestMargin | None = None"

    # As the page's line in the registry would have it.
    with_margin = create_model("WithMargin", __base__=Losses, margin=(margin | None, None))
    losses = with_margin.model_validate({"margin": {"weight": 0.5, "margin": 0.2}})
    assert isinstance(losses.margin, margin)
    images = torch.eye(2)
    texts = F.normalize(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]), dim=1)
    step = Step(Side(images), Side(texts), photo_of_caption=torch.tensor([0, 0, 1]))
    # Only the second caption is as near to the wrong photo as to its own.
    assert losses.of([step])["margin"].item() == pytest.approx(0.5 * 0.2 / 3)


def test_every_loss_and_criterion_is_on_the_page() -> None:
    page = TABLES.read_text("utf-8")
    criteria = TypeAdapter(AnyCriterion).json_schema()["discriminator"]["mapping"]
    assert len(criteria) >= 9
    for name in [*Losses.model_fields, *criteria]:
        assert f"`{name}`" in page, name
