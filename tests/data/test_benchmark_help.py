"""Every benchmark that is a command says what it measures."""

import runpy
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = [
    path.relative_to(REPOSITORY)
    for path in sorted((REPOSITORY / "data" / "benchmarks").rglob("*.py"))
    if "typer.run(main)" in path.read_text("utf-8")
]


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_a_benchmark_answers_help(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    # A script makes the benchmarks beside it importable, as Python does for one that is started.
    monkeypatch.setattr(sys, "path", [str(script.parent.resolve()), *sys.path])
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(script), run_name="__main__")
    assert left.value.code == 0
    assert f"Usage: {script.name}" in capsys.readouterr().out
