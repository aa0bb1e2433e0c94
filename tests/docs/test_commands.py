import importlib
import shutil
from pathlib import Path

import pytest
import typer

from retrieval.cli.app import COMMANDS, main
from tests.docs.check_command import UsageError, check, check_arguments
from tests.docs.fences import ROOT, Fence, fences
from tests.docs.shell import OURS, Command, commands, commands_of

PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
]
# They belong together: each goes on from what the one before has left.
TUTORIALS = [
    ROOT / "docs" / "tutorials" / f"{name}.md" for name in ("search", "compress", "ship", "measure")
]
ENDLESS = {"serve", "watch"}
PHOTOS = {
    ".": ("dogs_at_window.jpg", "tabby_cat.bmp", "giant_panda.jpg", "coffee_cup.jpg"),
    "trips": ("autumn_mountain.jpg", "mountain_path.jpg", "forest_stream.jpg"),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of somebody with some photos, who has cloned the repository there."""
    for folder, names in PHOTOS.items():
        (tmp_path / "Pictures" / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copy(ROOT / "data" / "photos" / name, tmp_path / "Pictures" / folder)
    shutil.copy(tmp_path / "Pictures" / "coffee_cup.jpg", tmp_path / "Pictures" / "mug.jpg")
    (tmp_path / "leanclip").symlink_to(ROOT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LEANCLIP_HOME", str(tmp_path / "catalog"))
    monkeypatch.delenv("LEANCLIP_MODEL", raising=False)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_names_only_what_exists(page: Path) -> None:
    for command in commands(page):
        _check(command)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_each_help_name_only_what_exists(name: str) -> None:
    entry = COMMANDS[name]
    found = vars(importlib.import_module(f"retrieval.cli.{entry.module}"))[entry.function]
    functions = [found]
    if isinstance(found, typer.Typer):
        functions = [
            one.callback for one in (found.registered_callback, *found.registered_commands)
        ]
    examples = [example for one in functions for example in _examples(one.__doc__)]
    assert examples
    fence = Fence("sh", "\n".join(examples), "", Path(f"leanclip {name} --help"), 0)
    for command in commands_of(fence):
        _check(command)


def test_the_tutorials_work_one_after_the_other(home: Path, capfd: pytest.CaptureFixture) -> None:
    for page in TUTORIALS:
        ran = 0
        for fence in fences(page):
            if fence.file is not None:
                Path(fence.file).write_text(fence.text, "utf-8")
            ran += sum(_run(command, capfd) for command in commands_of(fence))
        assert ran, page


@pytest.mark.parametrize(
    ("page", "heading"),
    [("README.md", "Search your photos"), ("docs/searching.md", "Searching")],
)
def test_searches_work_as_written(
    page: str, heading: str, home: Path, capfd: pytest.CaptureFixture
) -> None:
    (home / "holiday").mkdir()
    shutil.copy(home / "Pictures" / "giant_panda.jpg", home / "holiday" / "beach.jpg")
    shutil.copy(ROOT / "data" / "photos" / "summit_sunset.jpg", home / "Pictures" / "sunset.jpg")
    found = [one for one in commands(ROOT / page) if one.fence.heading == heading]
    assert sum(_run(command, capfd) for command in found) >= 4


def test_a_command_that_rots_is_noticed() -> None:
    for arguments in (["serch", "x"], ["search", "x", "--tpo", "3"], ["export", "only-one"]):
        with pytest.raises(UsageError):
            check_arguments(arguments)


def _examples(doc: str) -> list[str]:
    """The lines of those paragraphs of a help text that are commands and nothing else."""
    paragraphs = doc.replace("\\\n", " ").replace("\b", "").split("\n\n")
    listed = [[line.strip() for line in one.splitlines() if line.strip()] for one in paragraphs]
    return [line for lines in listed if all(map(_is_command, lines)) for line in lines]


def _is_command(line: str) -> bool:
    return line.startswith(OURS)


def _check(command: Command) -> None:
    try:
        check(command)
    except UsageError as error:
        pytest.fail(f"{command}: {error}")


def _run(command: Command, capfd: pytest.CaptureFixture) -> bool:
    """Run a command as a shell would; False where it is only checked elsewhere."""
    program, *arguments = command.expanded
    if command.marked or program in {"pip", "make", "git"} or arguments[0] in ENDLESS:
        return False
    assert program == "leanclip", f"{command}: only leanclip is run; mark it with '# needs ...'"
    with pytest.raises(SystemExit) as left:
        main(arguments)
    output = capfd.readouterr()
    assert not left.value.code, f"{command}: {output.out}{output.err}"
    return True
