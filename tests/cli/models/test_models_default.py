"""``leanclip models`` lists, chooses and removes; a chosen model serves everywhere."""

import json
import shutil

from retrieval.hub.store import models_folder, packaged_bundle
from retrieval.spec.bundle import read_bundle
from retrieval.spec.files import size_of, write_json
from tests.cli.models.asking import IMAGE, bundle_of, listed, refused
from tests.fixtures.tiny_bundle import write_tiny_bundle


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


def test_an_unfinished_model_can_be_removed(leanclip, served):
    served.answers = {IMAGE: [404]}
    refused(leanclip, "fetch", f"{served.address}/small")
    assert leanclip("models", "remove", "colours-0")[0] == 0
    assert list(models_folder().iterdir()) == []


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
