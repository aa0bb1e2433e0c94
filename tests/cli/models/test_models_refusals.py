"""``leanclip models fetch`` refuses in one line what it cannot trust, read or keep."""

import errno
import json
import socket
from types import SimpleNamespace

import pytest

from retrieval.hub import fetch
from retrieval.hub.store import models_folder, packaged_bundle
from retrieval.spec.bundle import MANIFEST, read_bundle
from retrieval.spec.files import sha256_file, sha256_path, write_json
from retrieval.transfer import transfer
from tests.cli.models.asking import IMAGE, bundle_of, change_manifest, listed, refused
from tests.fixtures.tiny_bundle import write_tiny_bundle


@pytest.mark.parametrize("name", [IMAGE, "merges.txt"])
def test_a_changed_byte_is_noticed(leanclip, served, name):
    file = bundle_of(served) / name
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    why = refused(leanclip, "fetch", f"{served.address}/small")
    assert name in why and "SHA-256 differs" in why
    file.write_bytes(whole)
    assert leanclip("models", "fetch", f"{served.address}/small")[0] == 0


def test_a_file_of_another_length_is_noticed(leanclip, served):
    file = bundle_of(served) / IMAGE
    file.write_bytes(file.read_bytes() + b"more")
    why = refused(leanclip, "fetch", f"{served.address}/small")
    assert "has more than the" in why and IMAGE in why


def test_a_missing_file_is_named(leanclip, served):
    (bundle_of(served) / IMAGE).unlink()
    why = refused(leanclip, "fetch", f"{served.address}/small")
    assert IMAGE in why and "404" in why


def test_a_missing_manifest_is_named(leanclip, served):
    assert "bundle.json" in refused(leanclip, "fetch", f"{served.address}/other")


def test_a_golden_file_that_the_manifest_vouches_for_must_come(leanclip, served):
    folder = bundle_of(served)
    (folder / "golden.json").write_text("{}")
    change_manifest(folder, golden_sha256=sha256_file(folder / "golden.json"))
    (folder / "golden.json").unlink()
    assert "golden.json" in refused(leanclip, "fetch", f"{served.address}/small")


@pytest.mark.parametrize(
    "path",
    ["../image.onnx", "/etc/passwd", "onnx/../../x", "..\\x", "C:/x", "onnx//x", "", "a/.", "a\0"],
)
def test_a_manifest_cannot_name_what_lies_outside(leanclip, served, tmp_path, path):
    folder = bundle_of(served)
    files = json.loads((folder / MANIFEST).read_text())["files"]
    change_manifest(folder, files=[files[0] | {"file": path}, files[1]])
    assert "no plain path" in refused(leanclip, "fetch", f"{served.address}/small")
    assert [one for one, _ in served.asked] == ["/small/bundle.json"]


@pytest.mark.parametrize(
    "path", ["bundle.json", "fetched.json", "onnx/text.onnx/x", "ONNX/text.onnx"]
)
def test_a_manifest_cannot_name_a_place_twice(leanclip, served, path):
    folder = bundle_of(served)
    files = json.loads((folder / MANIFEST).read_text())["files"]
    change_manifest(folder, files=[files[0] | {"file": path}, files[1]])
    assert "is already" in refused(leanclip, "fetch", f"{served.address}/small")


@pytest.mark.parametrize("name", ["../x", "a b", "default", ".hidden", "", "x" * 101])
def test_a_name_that_is_no_folder_needs_another(leanclip, served, name):
    change_manifest(bundle_of(served), name=name)
    assert "choose with --name" in refused(leanclip, "fetch", f"{served.address}/small")
    assert leanclip("models", "fetch", f"{served.address}/small", "--name", "mine")[0] == 0
    assert listed(leanclip)["mine"]["origin"]["source"] == f"{served.address}/small"


def test_the_packaged_model_keeps_its_name(leanclip, served):
    name = read_bundle(packaged_bundle()).name
    why = refused(leanclip, "fetch", f"{served.address}/small", "--name", name)
    assert "packaged" in why


def test_a_manifest_that_cannot_be_read_is_named_by_its_address(leanclip, served):
    (bundle_of(served) / MANIFEST).write_text("<html>")
    assert f"{served.address}/small/bundle.json" in refused(
        leanclip, "fetch", f"{served.address}/small"
    )
    change_manifest_format = {"format": 99}
    write_json(bundle_of(served) / MANIFEST, change_manifest_format)
    why = refused(leanclip, "fetch", f"{served.address}/small")
    assert "format 99" in why and "pip install --upgrade" in why


def test_the_manifest_must_have_the_hash_that_was_given(leanclip, served):
    source = f"{served.address}/small"
    right = sha256_file(bundle_of(served) / MANIFEST)
    assert right in refused(leanclip, "fetch", source, "--sha256", "0" * 64)
    assert leanclip("models", "fetch", source, "--sha256", right.upper())[0] == 0


def test_a_model_that_changed_since_it_was_first_fetched_is_refused(leanclip, served):
    source = f"{served.address}/small"
    leanclip("models", "fetch", source)
    before = sha256_path(models_folder() / "colours-0")
    change_manifest(bundle_of(served), licence="other terms")
    assert "no longer what it was" in refused(leanclip, "fetch", source)
    assert sha256_path(models_folder() / "colours-0") == before
    new = sha256_file(bundle_of(served) / MANIFEST)
    assert leanclip("models", "fetch", source, "--sha256", new)[0] == 0
    assert read_bundle(models_folder() / "colours-0").licence == "other terms"


def test_a_model_of_another_place_does_not_take_a_name(leanclip, served):
    leanclip("models", "fetch", f"{served.address}/small")
    write_tiny_bundle(served.folder / "other", seed=1)
    change_manifest(served.folder / "other", name="colours-0")
    assert "already" in refused(leanclip, "fetch", f"{served.address}/other")
    assert leanclip("models", "fetch", f"{served.address}/other", "--name", "second")[0] == 0


@pytest.mark.parametrize(
    "source",
    ["hf:name", "hf:org/name@", "hf:org/../x", "hf://org/name", "ftp://host/x", "file:///etc",
     "small", "https://", "http://host:port/x", "https://me:secret@host/x"],
)  # fmt: skip
def test_what_is_no_source_is_one_line(leanclip, source):
    why = refused(leanclip, "fetch", source)
    assert "secret" not in why


def test_offline_is_one_line(leanclip):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    why = refused(leanclip, "fetch", f"http://127.0.0.1:{port}/small")
    assert "offline" in why


def test_a_refusal_of_the_server_is_one_line(leanclip, served):
    served.answers = {MANIFEST: [401]}
    assert "401" in refused(leanclip, "fetch", f"{served.address}/small")


def test_a_disk_without_room_is_noticed_before_anything_comes(leanclip, served, monkeypatch):
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    assert "MB free" in refused(leanclip, "fetch", f"{served.address}/small")
    assert served.ranges_of(IMAGE) == []


def test_a_disk_that_fills_up_is_one_line(leanclip, served, monkeypatch):
    class Full(transfer.FileIO):
        def write(self, block):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(transfer, "FileIO", Full)
        assert "No space left on device" in refused(leanclip, "fetch", f"{served.address}/small")
    assert leanclip("models", "fetch", f"{served.address}/small")[0] == 0
