"""``leanclip models`` against a server on this machine that also fails as servers do."""

import errno
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from retrieval.hub import fetch
from retrieval.hub.fetch import fetch_model
from retrieval.hub.store import models_folder, packaged_bundle
from retrieval.spec.bundle import MANIFEST, read_bundle
from retrieval.spec.files import sha256_file, sha256_path, size_of, write_json
from retrieval.transfer import transfer
from tests.fixtures.range_server import RangeServer, range_server
from tests.fixtures.tiny_bundle import write_tiny_bundle

IMAGE = "onnx/image.onnx"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """A library's home of its own; connections are opened again without a pause."""
    monkeypatch.setenv("LEANCLIP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LEANCLIP_MODEL", raising=False)
    monkeypatch.setattr(transfer.time, "sleep", lambda seconds: None)
    return tmp_path / "home"


@pytest.fixture
def served(tmp_path) -> Iterator[RangeServer]:
    write_tiny_bundle(tmp_path / "www" / "small")
    with range_server(tmp_path / "www") as server:
        yield server


def bundle_of(server: RangeServer) -> Path:
    return server.folder / "small"


def change_manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    write_json(folder / MANIFEST, manifest | changes)


def refused(leanclip, *arguments: object) -> str:
    """Why ``leanclip models`` refuses: one line, and no new model."""
    before = sorted(models_folder().glob("[!.]*"))
    status, said, wrong = leanclip("models", *arguments)
    assert (status, said) == (1, "")
    lines = [line for line in wrong.splitlines() if line.startswith("leanclip: ")]
    assert len(lines) == 1
    assert "Traceback" not in wrong
    assert sorted(models_folder().glob("[!.]*")) == before
    assert not list(models_folder().glob(".manifest.*"))
    return lines[0]


def listed(leanclip) -> dict[str, dict]:
    status, said, _ = leanclip("models", "--json")
    assert status == 0
    return {model["name"]: model for model in json.loads(said)["models"]}


def test_the_list_says_what_the_packaged_model_is(leanclip):
    bundle = read_bundle(packaged_bundle())
    report = json.loads((packaged_bundle() / "report.json").read_text())
    model = listed(leanclip)[bundle.name]
    assert model["default"] and model["origin"] is None
    assert model["licence"] == bundle.licence
    assert model["towers"]["image"] == bundle.file("image", "onnx").bytes
    assert model["bytes"] == size_of(packaged_bundle())
    if "verification" not in report:
        dev = report["metrics"]["dev"]
        assert model["recall@10"]["text_to_image"] == dev["text_to_image"]["recall@10"]
    status, said, _ = leanclip("models")
    assert status == 0
    assert f"{bundle.name} (default)\n" in said
    assert bundle.licence in said


def test_recall_comes_from_the_verification_where_there_is_one(leanclip, served):
    figures = {way: {"recall@10": at} for way, at in (("text_to_image", 0.5), ("image_to_text", 1))}
    pair = {"format": "onnx", "opened": True, "loss": {"recall": figures}}
    report = {"verification": {"photos": 7, "pairs": [pair]}}
    write_json(bundle_of(served) / "report.json", report)
    leanclip("models", "fetch", f"{served.address}/small")
    found = listed(leanclip)["colours-0"]["recall@10"]
    assert found == {"text_to_image": 0.5, "image_to_text": 1.0, "photos": 7}
    (models_folder() / "colours-0" / "report.json").write_text("no report")
    assert listed(leanclip)["colours-0"]["recall@10"] is None


def test_a_fetched_model_is_the_one_that_was_served(leanclip, served):
    (bundle_of(served) / "README.md").write_text("its card")
    status, said, wrong = leanclip("models", "fetch", f"{served.address}/small/bundle.json")
    folder = models_folder() / "colours-0"
    assert (status, said) == (0, f"{folder}\n")
    assert sha256_file(bundle_of(served) / MANIFEST) in wrong
    (folder / "fetched.json").unlink()
    assert sha256_path(folder) == sha256_path(bundle_of(served))


def test_a_model_there_already_is_not_fetched_again(leanclip, served):
    leanclip("models", "fetch", f"{served.address}/small")
    served.asked.clear()
    status, said, _ = leanclip("models", "fetch", f"{served.address}/small", "--json")
    assert (status, json.loads(said)["new"]) == (0, False)
    assert [path for path, _ in served.asked] == ["/small/bundle.json"]


def test_a_damaged_model_is_mended_by_fetching_it_again(leanclip, served):
    leanclip("models", "fetch", f"{served.address}/small")
    file = models_folder() / "colours-0" / IMAGE
    file.write_bytes(b"damaged")
    assert leanclip("models", "fetch", f"{served.address}/small")[0] == 0
    assert file.read_bytes() == (bundle_of(served) / IMAGE).read_bytes()


def test_broken_connections_are_opened_again_where_they_ended(leanclip, served):
    served.breaks = {IMAGE: [100, 50], MANIFEST: [10]}
    assert leanclip("models", "fetch", f"{served.address}/small")[0] == 0
    assert served.ranges_of(IMAGE) == [None, "bytes=100-", "bytes=150-"]
    assert served.ranges_of(MANIFEST) == [None, "bytes=10-"]


def test_a_server_that_knows_no_ranges_sends_all_again(leanclip, served):
    served.knows_ranges = False
    served.breaks = {IMAGE: [100]}
    served.answers = {IMAGE: [], "merges.txt": [503, 429]}
    assert leanclip("models", "fetch", f"{served.address}/small")[0] == 0
    assert len(served.ranges_of("merges.txt")) == 3


def test_a_run_that_gave_up_goes_on_from_what_it_kept(leanclip, served):
    served.breaks = {IMAGE: [100] + [0] * transfer.ATTEMPTS}
    assert "run it again to go on" in refused(leanclip, "fetch", f"{served.address}/small")
    assert json.loads(leanclip("models", "--json")[1])["unfinished"] == ["colours-0"]
    assert "not whole: colours-0" in leanclip("models")[1]
    served.asked.clear()
    assert leanclip("models", "fetch", f"{served.address}/small")[0] == 0
    assert served.ranges_of(IMAGE) == ["bytes=100-"]
    assert json.loads(leanclip("models", "--json")[1])["unfinished"] == []


def test_what_another_version_left_unfinished_is_not_mixed_in(leanclip, served):
    served.breaks = {"text.onnx": [0] * transfer.ATTEMPTS}
    refused(leanclip, "fetch", f"{served.address}/small")
    shutil.rmtree(bundle_of(served))
    write_tiny_bundle(bundle_of(served), seed=1)
    change_manifest(bundle_of(served), name="colours-0")
    assert leanclip("models", "fetch", f"{served.address}/small")[0] == 0
    assert read_bundle(models_folder() / "colours-0").fingerprint == "colours-1"
    fetched = (models_folder() / "colours-0" / IMAGE).read_bytes()
    assert fetched == (bundle_of(served) / IMAGE).read_bytes()


def test_an_unfinished_model_can_be_removed(leanclip, served):
    served.answers = {IMAGE: [404]}
    refused(leanclip, "fetch", f"{served.address}/small")
    assert leanclip("models", "remove", "colours-0")[0] == 0
    assert list(models_folder().iterdir()) == []


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


def test_a_hub_repository_resolves_to_plain_addresses(leanclip, served, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", served.address)
    shutil.copytree(bundle_of(served), served.folder / "org/name/resolve/v1/tiny")
    served.redirects = {IMAGE: f"{served.address}/small/{IMAGE}?signed"}
    monkeypatch.setattr("tests.fixtures.range_server.unquote", lambda path: path.partition("?")[0])
    assert leanclip("models", "fetch", "hf:org/name/tiny@v1")[0] == 0
    assert ("/org/name/resolve/v1/tiny/bundle.json", None) in served.asked
    assert listed(leanclip)["colours-0"]["origin"]["source"] == "hf:org/name/tiny@v1"


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


def test_a_core_ml_package_is_fetched_as_its_files(leanclip, served):
    folder = bundle_of(served)
    package = folder / "coreml" / "image.mlpackage"
    weights = "Data/com.apple.CoreML/weights/weight.bin"
    for name in ("Manifest.json", "Data/com.apple.CoreML/model.mlmodel", weights):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(name)
    manifest = json.loads((folder / MANIFEST).read_text())
    entry = manifest["files"][0] | {
        "format": "coreml",
        "file": "coreml/image.mlpackage",
        "sha256": sha256_path(package),
        "bytes": size_of(package),
    }
    change_manifest(folder, files=[*manifest["files"], entry])
    (package / weights).rename(package / "elsewhere")
    assert "SHA-256 differs" in refused(leanclip, "fetch", f"{served.address}/small")
    (package / "elsewhere").rename(package / weights)
    assert leanclip("models", "fetch", f"{served.address}/small")[0] == 0
    assert sha256_path(models_folder() / "colours-0/coreml/image.mlpackage") == entry["sha256"]
    assert listed(leanclip)["colours-0"]["formats"] == ["onnx", "coreml"]


def test_use_changes_what_default_means(leanclip, served, tmp_path):
    leanclip("models", "fetch", f"{served.address}/small")
    photo = tmp_path / "photo.png"
    shutil.copy("data/photos/tabby_cat.bmp", photo)
    ask = ("describe", photo, "--label", "red", "--json")
    assert json.loads(leanclip(*ask)[1])["model"] == read_bundle(packaged_bundle()).name
    assert leanclip("models", "use", "colours-0")[:2] == (0, "colours-0 is the default now\n")
    assert json.loads(leanclip(*ask)[1])["model"] == "colours-0"
    assert json.loads(leanclip(*ask, "--model", "default")[1])["model"] == "colours-0"
    assert listed(leanclip)["colours-0"]["default"]
    assert leanclip("models", "use", "default")[0] == 0
    assert json.loads(leanclip(*ask)[1])["model"] == read_bundle(packaged_bundle()).name
    found = leanclip(*ask, "--model", "colours-0")
    assert json.loads(found[1])["model"] == "colours-0"


def test_use_says_that_a_new_index_is_needed_and_keeps_the_old_one(leanclip, served, tmp_path):
    photos = tmp_path / "photos"
    leanclip("scenes", photos, "--count", "2")
    first = write_tiny_bundle(tmp_path / "first", seed=5)
    assert leanclip("index", photos, "--model", first)[0] == 0
    leanclip("models", "fetch", f"{served.address}/small")
    status, _, wrong = leanclip("models", "use", "colours-0")
    assert status == 0
    assert "indexed with colours-5" in wrong and "leanclip index FOLDER --model default" in wrong
    assert leanclip("index", photos, "--model", "default")[0] == 0
    models = json.loads(leanclip("status", "--json")[1])["models"]
    assert {one["name"]: one["serving"] for one in models} == {
        "colours-5": False,
        "colours-0": True,
    }
    assert leanclip("models", "use", "colours-0")[2] == ""


def test_use_takes_a_folder(leanclip, tmp_path, monkeypatch):
    write_tiny_bundle(tmp_path / "mine", seed=3)
    monkeypatch.chdir(tmp_path)
    assert leanclip("models", "use", "mine")[0] == 0
    monkeypatch.chdir("/")
    assert f"the default is a folder: {tmp_path / 'mine'}" in leanclip("models")[1]


def test_use_of_what_is_no_bundle_changes_nothing(leanclip, tmp_path):
    assert "leanclip models lists" in refused(leanclip, "use", "nothing")
    assert "not a bundle" in refused(leanclip, "use", tmp_path)
    assert not (models_folder() / "default.json").exists()


def test_use_says_when_the_environment_goes_before_it(leanclip, served, monkeypatch):
    leanclip("models", "fetch", f"{served.address}/small")
    monkeypatch.setenv("LEANCLIP_MODEL", "colours-0")
    assert "LEANCLIP_MODEL is set" in leanclip("models", "use", "colours-0")[2]


def test_remove_deletes_a_fetched_model_but_not_the_default(leanclip, served):
    leanclip("models", "fetch", f"{served.address}/small")
    leanclip("models", "use", "colours-0")
    assert "is the default; choose another" in refused(leanclip, "remove", "colours-0")
    leanclip("models", "use", "default")
    assert leanclip("models", "remove", "colours-0")[:2] == (0, "colours-0 is removed\n")
    assert list(models_folder().iterdir()) == []


def test_remove_refuses_what_it_cannot(leanclip):
    packaged = read_bundle(packaged_bundle()).name
    assert "part of the installation" in refused(leanclip, "remove", packaged)
    assert packaged in refused(leanclip, "remove", "nothing")
    assert "there is no model .. here" in refused(leanclip, "remove", "..")


def test_a_default_that_is_gone_is_said_and_can_be_changed(leanclip, served):
    leanclip("models", "fetch", f"{served.address}/small")
    leanclip("models", "use", "colours-0")
    shutil.rmtree(models_folder() / "colours-0")
    assert "colours-0 is gone" in leanclip("models")[2]
    assert "colours-0 is gone" in leanclip("describe", "data/photos/tabby_cat.bmp")[2]
    assert leanclip("models", "use", "default")[0] == 0
    (models_folder() / "default.json").write_text("[")
    assert "default.json is damaged" in leanclip("describe", "data/photos/tabby_cat.bmp")[2]


def test_progress_counts_the_bytes_of_the_towers(served):
    seen = []
    fetch_model(
        f"{served.address}/small", progress=lambda file, done, total: seen.append((done, total))
    )
    towers = sum(file.bytes for file in read_bundle(bundle_of(served)).files)
    assert seen == sorted(seen)
    assert seen[-1] == (towers, towers)


def test_a_library_is_indexed_and_searched_by_a_name(leanclip, served, tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    leanclip("scenes", photos, "--count", "2")
    leanclip("models", "fetch", f"{served.address}/small")
    assert leanclip("index", photos, "--model", "colours-0")[0] == 0
    monkeypatch.chdir("/")
    status, said, _ = leanclip("search", "a red star", "--json")
    assert (status, len(json.loads(said)["results"])) == (0, 2)
    [model] = json.loads(leanclip("status", "--json")[1])["models"]
    assert (model["name"], model["source"]) == ("colours-0", "colours-0")


def test_fetched_models_are_no_bytes_of_the_library(leanclip, served, tmp_path):
    leanclip("scenes", tmp_path / "photos", "--count", "2")
    leanclip("index", tmp_path / "photos", "--model", bundle_of(served))
    before = json.loads(leanclip("status", "--json")[1])["bytes"]
    leanclip("models", "fetch", f"{served.address}/small")
    assert size_of(models_folder()) > 0
    assert json.loads(leanclip("status", "--json")[1])["bytes"] == before
