import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

import retrieval
from retrieval.cli.app import COMMANDS
from retrieval.compress.importance.registry import AnyCriterion
from retrieval.compress.losses.registry import Losses
from tests.docs.fences import ROOT

# What makes a browser load something by itself; links that a reader follows are not among them.
_LOADED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=\"?([^\" >]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a broken link or an undocumented name fails here."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    loaded = {link for page in pages for link in _LOADED.findall(page.read_text("utf-8"))}
    assert any("bundle" in link for link in loaded)
    assert not [link for link in loaded if re.match(r"(https?:)?//", link)]


def test_every_command_and_name_is_in_the_reference(site: Path) -> None:
    reference = {path.stem: path.read_text("utf-8") for path in (site / "reference").glob("*.html")}
    criteria = TypeAdapter(AnyCriterion).json_schema()["discriminator"]["mapping"]
    for page, names in {
        "commands": COMMANDS,
        "python": retrieval.__all__,
        "losses": Losses.model_fields,
        "importances": criteria,
        "specification": ["Bundle", "Preprocessing", "TextSpec", "ModelConfig"],
    }.items():
        for name in names:
            assert re.search(rf'<h[23] id="[\w.]*\b{name}"', reference[page]), f"{page}: {name}"
    assert "--recommend" in reference["commands"]


def test_linked_files_of_the_repository_are_carried_along(site: Path) -> None:
    figures = json.loads((site / "repository/data/benchmarks/flickr8k_dev.json").read_text())
    assert figures["stamp"]["commit"]
    assert (site / "repository/data/benchmarks/contact-sheet.jpg").stat().st_size > 1000
    assert (site / "repository/SECURITY.html").is_file()


def test_every_benchmark_is_on_its_page() -> None:
    page = (ROOT / "docs" / "explanation" / "benchmarks.md").read_text("utf-8")
    scripts = {
        script.name
        for script in (ROOT / "data" / "benchmarks").glob("*.py")
        if re.search(r"^\s+write_figures\(", script.read_text("utf-8"), re.MULTILINE)
    }
    assert len(scripts) > 10
    assert not [name for name in scripts if f"`{name}`" not in page]


def test_the_citation_is_of_this_version_and_names_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["references"][0]["doi"] == "10.18653/v1/2022.naacl-main.300"
    assert f"## [{project['version']}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
