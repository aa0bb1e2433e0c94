"""Every command below ``data`` that measures or prepares something says what it does."""

import runpy
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = [
    path.relative_to(REPOSITORY)
    for folder in ("benchmarks", "recipes")
    for path in sorted((REPOSITORY / "data" / folder).rglob("*.py"))
    if "typer.run(main)" in path.read_text("utf-8")
]


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_a_script_answers_help(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    # A script makes those beside it importable, as Python does for one that is started.
    monkeypatch.setattr(sys, "path", [str(script.parent.resolve()), *sys.path])
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(script), run_name="__main__")
    assert left.value.code == 0
    assert f"Usage: {script.name}" in capsys.readouterr().out
