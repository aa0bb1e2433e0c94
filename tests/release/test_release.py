"""What ``make release`` builds and refuses; the builds are real, without the network."""

from pathlib import Path

import pytest
import release
import smoke
from content import differences, read_sdist, read_wheel, sdist_faults, wheel_faults
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "data" / "default"


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """An sdist, and the wheel that was built from it."""
    return release.build(tmp_path_factory.mktemp("dist"), isolation=False)


@pytest.fixture(scope="session")
def wheel(built) -> dict[str, bytes]:
    return read_wheel(built[1])


@pytest.fixture(scope="session")
def sdist(built) -> dict[str, bytes]:
    return read_sdist(built[0])


def test_the_sdist_rebuilds_a_whole_wheel(wheel, sdist):
    assert wheel_faults(wheel, DEFAULT) == []
    assert sdist_faults(sdist) == []


def test_the_wheel_carries_every_source_file_of_the_packages(wheel):
    sources = [
        path.relative_to(ROOT).as_posix()
        for package in ("retrieval", "export")
        for path in (ROOT / package).rglob("*.py")
    ]
    assert set(sources) <= set(wheel)


def test_data_and_apps_are_in_neither(wheel, sdist):
    assert not [name for name in wheel if name.startswith(("data/", "apps/", "tests/"))]
    outside = [name for name in sdist if name.startswith(("data/", "apps/", "tests/"))]
    assert outside
    assert all(name.startswith("data/default/") for name in outside)


@pytest.mark.parametrize(
    "name",
    ["retrieval/py.typed", "export/py.typed", "retrieval/default/bundle.json",
     "retrieval/default/onnx/image-mixed.onnx"],
)  # fmt: skip
def test_a_wheel_that_lacks_a_file_is_refused(wheel, name):
    lacking = {key: value for key, value in wheel.items() if key != name}
    assert [fault for fault in wheel_faults(lacking, DEFAULT) if name in fault]


@pytest.mark.parametrize("licence", ["LICENSE", "retrieval/language/NOTICE"])
def test_a_wheel_without_its_licences_is_refused(wheel, licence):
    lacking = {key: value for key, value in wheel.items() if not key.endswith(licence)}
    assert f"{licence} is missing" in wheel_faults(lacking, DEFAULT)


def test_a_wheel_with_what_does_not_belong_there_is_refused(wheel):
    more = wheel | {"apps/web/index.html": b"", "retrieval/__pycache__/x.pyc": b""}
    faults = wheel_faults(more, DEFAULT)
    assert "apps/web/index.html does not belong into a wheel" in faults
    assert "retrieval/__pycache__/x.pyc is no file to give away" in faults


def test_an_sdist_with_photos_or_apps_is_refused(sdist):
    faults = sdist_faults(sdist | {"data/photos/a.jpg": b"", "apps/web/index.html": b""})
    assert len(faults) == 2


def test_wheels_that_differ_are_told_apart(wheel):
    name = "retrieval/__init__.py"
    assert differences(wheel, dict(wheel)) == []
    [line] = differences(wheel, wheel | {name: b"other"})
    assert line.startswith(name)


def test_supported_pythons_are_those_of_the_project():
    assert release.supported() == ["3.11", "3.12", "3.13"]


def test_a_python_that_is_not_there_is_no_pass(built, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert smoke.find_python("3.12") is None
    assert release.try_python("3.12", built[1]) is False
    assert "not found here" in capsys.readouterr().out


def test_an_interpreter_of_another_version_is_not_taken(tmp_path, monkeypatch):
    fake = tmp_path / "python3.12"
    fake.write_text("#!/bin/sh\necho 3.9\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert smoke.find_python("3.12") is None


def test_an_environment_that_cannot_be_made_is_one_line(tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho first >&2\necho no room >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(smoke.SmokeError, match="no room"):
        smoke.smoke(smoke.Python("3.12", broken), tmp_path / "x.whl", tmp_path)


def test_one_failure_fails_the_release(built, monkeypatch, tmp_path):
    monkeypatch.setattr(release, "build", lambda out, isolation: built)
    monkeypatch.setattr(release, "check", lambda sdist, wheel, isolation: [])
    seen = {"3.11": True, "3.12": False}
    monkeypatch.setattr(release, "try_python", lambda version, wheel: seen[version])
    app = release.typer.Typer()
    app.command()(release.main)
    run = CliRunner().invoke
    assert run(app, ["--python", "3.11"]).exit_code == 0
    assert run(app, ["--python", "3.11", "--python", "3.12"]).exit_code == 1
