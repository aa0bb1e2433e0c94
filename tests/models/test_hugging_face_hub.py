"""Names of the hub: what is fetched, and what is said when it cannot be."""

import shutil
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import errors

from retrieval.models.hugging_face import load_hugging_face
from retrieval.spec.errors import CheckpointError


def refusing(error):
    def snapshot_download(name, **options):
        raise error

    return snapshot_download


ANSWER = SimpleNamespace(headers={}, request=None)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.RepositoryNotFoundError("no", response=ANSWER), "has no public model a/b"),
        (errors.GatedRepoError("no", response=ANSWER), "a/b is gated: accept its terms"),
        (errors.LocalEntryNotFoundError("no"), "nor in the cache.*try again with a network"),
        (ConnectionError("no route"), "ConnectionError.*try again with a network"),
    ],
    ids=["unknown", "gated", "offline", "unreachable"],
)
def test_what_cannot_be_fetched_is_one_line(monkeypatch, error, message):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refusing(error))
    with pytest.raises(CheckpointError, match=message) as caught:
        load_hugging_face("a/b")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere", "/no/such/folder", "a/b/c", ""])
def test_what_is_neither_folder_nor_repository_is_one_line(monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refusing(AssertionError()))
    if name:
        with pytest.raises(CheckpointError, match="no folder .* no ORG/NAME of the hub"):
            load_hugging_face(name)
    else:
        with pytest.raises(CheckpointError, match="has no config.json"):
            load_hugging_face(name)


def test_only_what_is_needed_is_fetched(monkeypatch, clip, tmp_path):
    asked = []

    def snapshot_download(name, *, allow_patterns):
        asked.append((name, tuple(allow_patterns)))
        return str(tmp_path / "cache")

    shutil.copytree(clip[0], tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.chdir(tmp_path)
    loaded = load_hugging_face("org/tiny")
    assert loaded.config.name == "tiny"
    assert loaded.fingerprint == load_hugging_face(str(clip[0])).fingerprint
    assert [name for name, _ in asked] == ["org/tiny"]
    assert "pytorch_model.bin" not in asked[0][1]
    (tmp_path / "cache" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="neither"):
        load_hugging_face("org/tiny")
    assert asked[-1] == ("org/tiny", ("pytorch_model.bin",))
