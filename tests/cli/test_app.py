import errno
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import NoReturn

import pytest
import typer

from retrieval.cli import app
from retrieval.spec.errors import BundleError, MissingExtraError


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "retrieval.cli", *arguments], capture_output=True, text=True
    )


@pytest.fixture
def fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[BaseException], tuple[int, str]]:
    """Run a command that raises; give its exit status and what it said on stderr."""

    def run_and_fail(error: BaseException) -> tuple[int, str]:
        def search() -> NoReturn:
            raise error

        module = type(sys)("retrieval.cli.failing")
        module.search = search  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "retrieval.cli.failing", module)
        monkeypatch.setitem(app.COMMANDS, "search", app.Command("failing", "search", "Fails."))
        monkeypatch.setattr(sys, "argv", ["leanclip", "search"])
        with pytest.raises(SystemExit) as exit:
            app.main()
        captured = capsys.readouterr()
        assert captured.out == ""
        return exit.value.code, captured.err

    return run_and_fail


def test_help_lists_every_command() -> None:
    found = run("--help")
    assert found.returncode == 0
    for name, entry in app.COMMANDS.items():
        assert f"  {name} " in found.stdout
        assert entry.summary.split()[0] in found.stdout


def test_version() -> None:
    found = run("--version")
    assert (found.returncode, found.stdout) == (0, f"leanclip {version('leanclip')}\n")


def test_an_unknown_command_is_a_usage_error() -> None:
    found = run("serach")
    assert found.returncode == 2
    assert "Usage: leanclip" in found.stderr
    assert "No such command 'serach'" in found.stderr
    assert "Traceback" not in found.stderr


def test_an_unknown_option_is_a_usage_error() -> None:
    found = run("index", "--no-such-option")
    assert found.returncode == 2
    assert "Usage: leanclip index" in found.stderr


def test_nothing_shows_help() -> None:
    found = run()
    assert "Usage: leanclip" in found.stdout + found.stderr


def test_an_expected_error_is_one_line(fail: Callable[[BaseException], tuple[int, str]]) -> None:
    assert fail(BundleError("there is no model at x")) == (1, "leanclip: there is no model at x\n")


def test_a_missing_extra_names_the_command_to_install_it(
    fail: Callable[[BaseException], tuple[int, str]],
) -> None:
    status, said = fail(MissingExtraError("leanclip compress", "train"))
    assert status == 1
    assert (
        said == "leanclip: leanclip compress needs extra packages: pip install 'leanclip[train]'\n"
    )


def test_a_full_disk_is_one_line(fail: Callable[[BaseException], tuple[int, str]]) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "runs/state.pt")
    assert fail(error) == (1, "leanclip: runs/state.pt: No space left on device\n")


def test_ctrl_c_is_one_line(fail: Callable[[BaseException], tuple[int, str]]) -> None:
    status, said = fail(KeyboardInterrupt())
    assert status == 130
    assert said.startswith("leanclip: interrupted; ")
    assert said.count("\n") == 1


def test_a_command_may_choose_its_exit_status(
    fail: Callable[[BaseException], tuple[int, str]],
) -> None:
    assert fail(typer.Exit(3)) == (3, "")


def test_a_bug_is_not_hidden(fail: Callable[[BaseException], tuple[int, str]]) -> None:
    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError("bug"))
