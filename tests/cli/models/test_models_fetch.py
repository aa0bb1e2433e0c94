"""``leanclip models fetch`` brings what was served, also from a server that fails."""

import json
import shutil

from retrieval.hub.fetch import fetch_model
from retrieval.hub.store import models_folder
from retrieval.spec.bundle import MANIFEST, read_bundle
from retrieval.spec.files import sha256_file, sha256_path, size_of
from retrieval.transfer import transfer
from tests.cli.models.asking import IMAGE, bundle_of, change_manifest, listed, refused
from tests.fixtures.tiny_bundle import write_tiny_bundle


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


def test_a_hub_repository_resolves_to_plain_addresses(leanclip, served, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", served.address)
    shutil.copytree(bundle_of(served), served.folder / "org/name/resolve/v1/tiny")
    served.redirects = {IMAGE: f"{served.address}/small/{IMAGE}?signed"}
    monkeypatch.setattr("tests.fixtures.range_server.unquote", lambda path: path.partition("?")[0])
    assert leanclip("models", "fetch", "hf:org/name/tiny@v1")[0] == 0
    assert ("/org/name/resolve/v1/tiny/bundle.json", None) in served.asked
    assert listed(leanclip)["colours-0"]["origin"]["source"] == "hf:org/name/tiny@v1"


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


def test_progress_counts_the_bytes_of_the_towers(served):
    seen = []
    fetch_model(
        f"{served.address}/small", progress=lambda file, done, total: seen.append((done, total))
    )
    towers = sum(file.bytes for file in read_bundle(bundle_of(served)).files)
    assert seen == sorted(seen)
    assert seen[-1] == (towers, towers)
