from pathlib import Path

import pytest

from retrieval.hub import store
from retrieval.hub.names import ENVIRONMENT, default_bundle, model_folder, remembered_name
from retrieval.hub.store import ORIGIN, choose_default, models_folder
from retrieval.spec.errors import BundleError
from retrieval.spec.files import write_json
from tests.fixtures.tiny_bundle import write_tiny_bundle


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LEANCLIP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(ENVIRONMENT, raising=False)


@pytest.fixture
def fetched() -> Path:
    folder = write_tiny_bundle(models_folder() / "tiny")
    write_json(folder / ORIGIN, {"source": "hf:org/tiny", "manifest_sha256": "0" * 64})
    return folder


def test_default_is_packaged_or_in_the_source_tree(tmp_path, monkeypatch):
    package = tmp_path / "retrieval"
    package.mkdir()
    monkeypatch.setattr(store, "_PACKAGE", package)
    with pytest.raises(BundleError, match="carries no default model"):
        default_bundle()
    for folder in (tmp_path / "data" / "default", package / "default"):
        write_tiny_bundle(folder)
        assert default_bundle() == folder


def test_the_environment_goes_before_the_choice(fetched, tmp_path, monkeypatch):
    choose_default("tiny")
    assert default_bundle() == fetched
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "other"))
    assert default_bundle() == tmp_path / "other"
    monkeypatch.setenv(ENVIRONMENT, "tiny")
    assert default_bundle() == fetched


def test_a_name_goes_before_a_folder_of_the_same_name(fetched, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    assert model_folder("tiny") == fetched
    assert model_folder("./tiny").resolve() == tmp_path / "tiny"
    assert model_folder(Path("tiny")).resolve() == tmp_path / "tiny"
    assert model_folder("~/x") == Path("~/x").expanduser()


def test_what_is_remembered_holds_in_any_folder(fetched, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert remembered_name("default") == "default"
    assert remembered_name("tiny") == "tiny"
    assert remembered_name("other") == str(tmp_path / "other")
    assert model_folder(remembered_name("tiny")) == fetched


def test_a_model_without_its_origin_is_one_clear_line(fetched):
    (fetched / ORIGIN).unlink()
    with pytest.raises(BundleError, match=r"fetched\.json is missing or damaged"):
        model_folder("tiny")
