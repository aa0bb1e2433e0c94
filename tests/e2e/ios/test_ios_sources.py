"""What a machine without Swift can know of the iOS app: its files, keys and fixtures agree."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import BaseModel

from export.probe import figures, ios, job, result
from export.verify import golden
from retrieval.spec import bundle, preprocessing, text
from tests.e2e.ios.ios_fixtures import FIXTURES, MAKERS, ROOT

APP = ROOT / "apps/ios"
CORE = APP / "core/Sources/LeanclipCore"
TABLES = ROOT / "apps/android/core/src/main/resources/org/leanclip/core"

READ: dict[str, tuple[type[BaseModel], set[str]]] = {
    "Manifest": (
        bundle.Bundle,
        {"normalised", "training_data", "recipe_sha256", "provenance"},
    ),
    "TowerFile": (bundle.TowerFile, set()),
    # Core ML files are called with image objects or ids, one at a time, on iOS 17 at least.
    "Interface": (bundle.Interface, {"layout", "batch", "requires"}),
    # Scaling and normalising are inside the files, and image objects have no layout.
    "Preprocessing": (
        preprocessing.Preprocessing,
        {"mean", "std", "value_range", "layout", "pixel_type"},
    ),
    "TextSpec": (text.TextSpec, set()),
    "Golden": (golden.Golden, set()),
    "GoldenSentence": (golden.GoldenSentence, set()),
    "GoldenPhoto": (golden.GoldenPhoto, set()),
    "GoldenPattern": (golden.Pattern, {"formula"}),
    # Core ML lets nobody choose threads, and the folder's name says the run.
    "ProbeJob": (job.Job, {"run", "threads"}),
}
"""What Swift reads: its struct, our model, and those of its fields that Swift can do without."""

WRITTEN: dict[str, tuple[type[BaseModel], set[str]]] = {
    "Device": (result.Device, set()),
    "Versioned": (result.Runtime, set()),
    "ProbedBundle": (result.ProbedBundle, set()),
    "GoldenVerdict": (result.GoldenCheck, set()),
    "Timing": (figures.Timing, set()),
    "Slice": (figures.Slice, set()),
    "SustainedRun": (figures.SustainedRun, set()),
    "FileResult": (result.FileResult, set()),
    "ProbeResult": (result.ProbeResult, set()),
}


def swift_files() -> list[Path]:
    found = sorted(
        path
        for folder in ("app", "core/Sources", "core/Tests")
        for path in (APP / folder).rglob("*.swift")
    )
    assert len(found) > 40
    return found


def coding_keys(name: str) -> set[str]:
    """JSON keys of a Swift struct, from the raw values of its ``CodingKeys``."""
    for path in CORE.rglob("*.swift"):
        source = path.read_text("utf-8")
        found = re.search(
            rf"struct {name}: [^{{]*{{(?:(?!\n(?:public )?struct ).)*?"
            r"enum CodingKeys: String, CodingKey {(.*?)\n    }",
            source,
            re.DOTALL,
        )
        if found:
            cases = re.findall(r"case (\w+)(?: = \"(\w+)\")?", found[1])
            return {raw or case for case, raw in cases}
    raise AssertionError(f"no CodingKeys of {name}")


@pytest.mark.parametrize("name", [*READ, *WRITTEN])
def test_json_keys_are_those_of_the_spec(name: str) -> None:
    model, unread = {**READ, **WRITTEN}[name]
    fields = set(model.model_fields)
    assert unread <= fields
    assert coding_keys(name) == fields - unread


def test_the_probe_says_what_the_command_looks_for() -> None:
    folder = (CORE / "Probe/ProbeFolder.swift").read_text("utf-8")
    for word in (ios.ARGUMENT_RUN, job.RESULT, job.FAILURE, f'"{job.BUNDLE}"', '"probe"'):
        assert word in folder
    assert job.new_run().startswith("leanclip-probe-")
    assert '"leanclip-probe-"' in folder
    assert f'fileName = "{job.JOB}"' in (CORE / "Probe/ProbeJob.swift").read_text("utf-8")
    project = yaml.safe_load((APP / "project.yml").read_text("utf-8"))
    settings = project["targets"]["Leanclip"]["settings"]["base"]
    assert settings["PRODUCT_BUNDLE_IDENTIFIER"] == ios.BUNDLE_ID


def test_limits_are_those_of_the_probe_and_the_manifest() -> None:
    figures_source = (CORE / "Probe/Figures.swift").read_text("utf-8")
    for name, value in (
        ("leastRuns", figures.LEAST_RUNS),
        ("leastWarmUps", figures.WARM_UPS),
        ("sliceSeconds", figures.SLICE_SECONDS),
    ):
        assert f"{name} = {value}\n" in figures_source
    manifest = (CORE / "Bundle/Manifest.swift").read_text("utf-8")
    assert f"newestFormat = {bundle.BUNDLE_FORMAT}\n" in manifest


@pytest.mark.parametrize(
    ("name", "field", "model"),
    [
        ("ResizeMode", "resize_mode", preprocessing.Preprocessing),
        ("ChannelOrder", "channel_order", preprocessing.Preprocessing),
        ("Orientation", "exif_orientation", preprocessing.Preprocessing),
        ("Filter", "interpolation", preprocessing.Preprocessing),
        ("Tower", "tower", bundle.TowerFile),
    ],
)
def test_words_are_those_of_the_spec(name: str, field: str, model: type[BaseModel]) -> None:
    sources = "".join(path.read_text("utf-8") for path in sorted(CORE.rglob("*.swift")))
    found = re.search(rf"enum {name}: String, \w+ {{\n((?: +case .*\n)+)", sources)
    assert found is not None
    words = re.findall(r"(\w+)(?: = \"(\w+)\")?", found[1].replace("case ", ""))
    right = model.model_json_schema()["properties"][field]["enum"]
    assert {raw or case for case, raw in words} == set(right)


def test_the_package_and_the_project_name_files_that_are_there() -> None:
    package = (APP / "core/Package.swift").read_text("utf-8")
    for target in re.findall(r"\.(?:target|testTarget)\(\s*name: \"(\w+)\"", package):
        folder = APP / "core" / ("Tests" if target.endswith("Tests") else "Sources") / target
        assert any(folder.rglob("*.swift")), target
        if target == "LeanclipCore":
            for name in re.findall(r"\"(Tables/\w+(?:\.\w+)?)\"", package):
                assert (folder / name).is_file(), name
        if target == "LeanclipCoreTests":
            assert (folder / "Fixtures").is_dir()
    products = set(re.findall(r"\.library\(name: \"(\w+)\"", package))
    target = yaml.safe_load((APP / "project.yml").read_text("utf-8"))["targets"]["Leanclip"]
    assert {entry["product"] for entry in target["dependencies"]} == products
    assert (APP / target["sources"][0]["path"]).is_dir()


def test_the_tables_are_those_of_the_android_core() -> None:
    link = CORE / "Tables"
    assert link.is_symlink()
    assert link.resolve() == TABLES.resolve()
    loaded = set(
        re.findall(r"Tables\.lines\(\"(\w+)\"\)", "".join(p.read_text() for p in swift_files()))
    )
    assert loaded == {path.stem for path in TABLES.glob("*.txt")}


def test_imports_are_modules_of_the_system_or_ours() -> None:
    allowed = {
        "app": {"Darwin", "Foundation", "Photos", "PhotosUI", "SwiftUI", "UIKit"},
        "LeanclipCore": {"Accelerate", "CryptoKit", "Dispatch", "Foundation"},
        "LeanclipApple": {"CoreGraphics", "CoreML", "CoreVideo", "Foundation", "ImageIO"},
        "LeanclipCoreTests": {"Foundation", "XCTest"},
    }
    ours = {"LeanclipCore", "LeanclipApple"}
    for path in swift_files():
        parts = path.relative_to(APP).parts
        room = parts[0] if parts[0] == "app" else parts[2]
        found = set(re.findall(r"^\s*(?:@testable )?import (\w+)", path.read_text(), re.MULTILINE))
        more = set() if room == "LeanclipCore" else ours
        assert found <= allowed[room] | more, path


def test_sources_are_short() -> None:
    for path in swift_files():
        assert len(path.read_text("utf-8").splitlines()) < 220, path


def same(found: Any, right: Any) -> bool:
    """Equal, numbers within what another libm or numpy may change."""
    if isinstance(right, dict):
        return set(found) == set(right) and all(same(found[key], right[key]) for key in right)
    if isinstance(right, list):
        return len(found) == len(right) and all(map(same, found, right))
    if isinstance(right, float):
        return bool(np.isclose(found, right, rtol=1e-9))
    return bool(found == right)


@pytest.mark.parametrize("name", MAKERS)
def test_fixtures_are_what_python_says_today(name: str) -> None:
    stored = json.loads((FIXTURES / name).read_text("utf-8"))
    fresh = json.loads(json.dumps(MAKERS[name]()))
    assert same(stored, fresh), "run: python tests/e2e/ios/ios_fixtures.py"


def test_there_is_no_other_fixture() -> None:
    assert {path.name for path in FIXTURES.iterdir()} == set(MAKERS)
