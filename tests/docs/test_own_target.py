from pathlib import Path

import numpy as np
import pytest
import torch

import export.targets.registry as registry
from export.conversions import conversions
from export.targets.registry import find_target, require_converters
from retrieval.spec.errors import BundleError
from tests.docs.examples import run_example
from tests.docs.fences import ROOT, fences
from tests.tiny import tiny_checkpoint

PAGE = ROOT / "docs" / "how-to" / "own-target.md"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the two lines of the page would have it."""
    target, line = (fence.text for fence in fences(PAGE))
    run_example(PAGE, target)
    entry = eval(f"{{{line}}}", {"_Entry": registry._Entry})["pt2"]
    assert (entry.module, entry.kind) == ("export.targets.pt2", "Pt2Target")
    here = entry._replace(module="example_own_target")
    monkeypatch.setattr(registry, "_TARGETS", {**registry._TARGETS, "pt2": here})


def test_files_of_the_page_compute_what_pytorch_computes(registered: None, tmp_path: Path) -> None:
    require_converters(["pt2"])
    target = find_target("pt2")
    checkpoint = tiny_checkpoint(tmp_path / "checkpoint")
    for tower, conversion in conversions(checkpoint, ["image", "text"], licence="CC0-1.0").items():
        assert target.refuses(conversion, "fp32") is None
        assert "use fp32" in (target.refuses(conversion, "int4") or "")
        path = tmp_path / f"{tower}{target.suffix}"
        written = target.trace(conversion).write(path, "fp32")
        run = target.open(path, written.interface)
        assert run is not None
        with torch.inference_mode():
            expected = conversion.graph(torch.from_numpy(conversion.examples)).numpy()
        np.testing.assert_allclose(run(conversion.examples), expected, atol=1e-5)


def test_a_damaged_file_is_one_error(registered: None, tmp_path: Path) -> None:
    path = tmp_path / "image.pt2"
    path.write_bytes(b"no program")
    with pytest.raises(BundleError, match="export it again"):
        find_target("pt2").open(path, None)
