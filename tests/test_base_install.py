"""What ``pip install leanclip`` alone must do, tried where the extras' packages cannot load."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.tiny_bundle import write_tiny_bundle

EXTRAS_ONLY = (
    "torch",
    "torchvision",
    "timm",
    "open_clip",
    "pyarrow",
    "lightning_fabric",
    "safetensors",
    "onnx",
    "onnxscript",
    "yaml",
    "sentencepiece",
    "coremltools",
    "litert_torch",
    "ai_edge_litert",
    "playwright",
    "matplotlib",
)

WITHOUT_EXTRAS = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS_ONLY!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


def run_without_extras(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS + code], capture_output=True, text=True, timeout=60
    )


def leanclip_without_extras(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"""
sys.argv = ["leanclip", *{arguments!r}]
from retrieval.cli.app import main
main()
"""
    return run_without_extras(code)


def test_the_extras_are_out_of_reach() -> None:
    done = run_without_extras("import torch")
    assert done.returncode == 1
    assert "No module named 'torch'" in done.stderr


def test_search_product_needs_no_extra() -> None:
    modules = ("search", "index", "status", "evaluate", "scenes")
    done = run_without_extras("".join(f"import retrieval.cli.{name}\n" for name in modules))
    assert done.returncode == 0, done.stderr


def test_help_names_every_command() -> None:
    done = leanclip_without_extras("--help")
    assert done.returncode == 0, done.stderr
    assert "search" in done.stdout
    assert "compress" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("compress", "recipe.yaml"), "train"),
        (("cache", "default", "photos", "out"), "train"),
        (("extract", "checkpoint", "out", "--params", "1M"), "train"),
        (("export", "checkpoint", "bundle"), "export"),
        (("import", "open_clip:ViT-B-32/tag"), "export"),
    ],
)
def test_a_missing_extra_is_one_line_with_what_to_install(
    arguments: tuple[str, ...], extra: str
) -> None:
    done = leanclip_without_extras(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"leanclip: leanclip {arguments[0]} needs extra packages: pip install 'leanclip[{extra}]'\n"
    )


def test_photos_are_found_without_extras(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    home, photos = str(tmp_path / "home"), str(tmp_path / "photos")
    drawn = leanclip_without_extras("scenes", photos, "--count", "2")
    assert drawn.returncode == 0, drawn.stderr
    found = leanclip_without_extras(
        "search", "a red star", photos, "--home", home, "--model", str(bundle)
    )
    assert found.returncode == 0, found.stderr
    assert len(found.stdout.splitlines()) == 2


def test_a_checkpoint_names_the_extra_that_opens_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "none.jpg").touch()
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"image": "none.jpg", "captions": ["nothing"]}\n')
    done = leanclip_without_extras("evaluate", str(tmp_path), str(pairs))
    assert done.returncode == 1
    assert "pip install 'leanclip[train]'" in done.stderr
    assert "Traceback" not in done.stderr
