"""What the app does with bundles: reads good ones, refuses others, tests itself first."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from export.verify.golden_check import check_golden
from retrieval.encode.onnx import OnnxEncoder
from retrieval.spec.bundle import MANIFEST, read_bundle
from tests.e2e.android.android_core import Core, RefusedError
from tests.e2e.android.android_host import Host
from tests.golden import change_golden, flip_byte

DEFAULT = Path("data/default").resolve()
IMAGE, TEXT = "onnx/image-mixed.onnx", "onnx/text-int8.onnx"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEFAULT, tmp_path / "bundle"))


def edit(path: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(path.read_text("utf-8"))
    change(value)
    path.write_text(json.dumps(value), "utf-8")


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def choose(core: Core, folder: Path, tower: str, **values: Any) -> Any:
    core("bundle", folder=str(folder))
    file = str(folder.parent / "quarantine.json")
    return core("choose", tower=tower, quarantine=file, environment="one", **values)


class Twisting(Host):
    """A GPU whose vectors are wrong, as those of some phones are, and nothing says so."""

    def embedding(self, file: str, delegate: str, data: bytes) -> list[float]:
        found = super().embedding(file, delegate, data)
        return found[::-1] if delegate == "GPU" else found


@pytest.mark.parametrize(("tower", "file"), [("image", IMAGE), ("text", TEXT)])
def test_the_golden_test_finds_what_python_finds(
    core: Core, bundle: Path, tower: str, file: str
) -> None:
    core.reply = Host(bundle)
    answer = choose(core, bundle, tower)
    right = check_golden(OnnxEncoder(bundle), bundle)
    # Pixels may differ by one level, see `across_first` of the pixels' tests.
    assert answer["worst_cosine"] == pytest.approx(right.min_cosine[tower], abs=1e-4)
    assert answer | {"worst_cosine": 0} == {
        "worst_cosine": 0,
        "least_cosine": 0.98,
        "passed": True,
        "failures": [],
        "file": file,
        "delegate": "GPU",
        "before": [],
    }


def test_a_delegate_with_wrong_vectors_is_quarantined(core: Core, bundle: Path) -> None:
    core.reply = host = Twisting(bundle)
    first = choose(core, bundle, "image")
    assert first["delegate"] == "CPU"
    assert "image-mixed.onnx on GPU: golden test: photo wide: cosine" in first["before"][0]
    assert host.loaded == [(IMAGE, "GPU"), (IMAGE, "CPU")]
    second = choose(core, bundle, "image")
    assert second["delegate"] == "CPU"
    assert "on GPU is quarantined: golden test" in second["before"][0]
    assert host.loaded[2:] == [(IMAGE, "CPU")]


def test_another_version_of_the_system_gets_a_new_trial(core: Core, bundle: Path) -> None:
    core.reply = Twisting(bundle)
    choose(core, bundle, "text")
    core.reply = Host(bundle)
    file = str(bundle.parent / "quarantine.json")
    again = core("choose", tower="text", quarantine=file, environment="two")
    assert again["delegate"] == "GPU"


def test_a_delegate_that_took_the_app_down_is_not_tried_again(core: Core, bundle: Path) -> None:
    sha256 = read_bundle(bundle).file("text", "onnx").sha256
    content = {"environment": "one", "reasons": {f"{sha256} GPU": "trying"}}
    (bundle.parent / "quarantine.json").write_text(json.dumps(content))
    core.reply = host = Host(bundle)
    answer = choose(core, bundle, "text")
    assert "quarantined: took the app down with it" in answer["before"][0]
    assert host.loaded == [(TEXT, "CPU")]


def test_a_damaged_quarantine_file_is_begun_anew(core: Core, bundle: Path) -> None:
    for content in ("{", "[]", '{"environment": "one"}', '{"environment": "one", "reasons": 1}'):
        (bundle.parent / "quarantine.json").write_text(content)
        core.reply = Host(bundle)
        assert choose(core, bundle, "text")["delegate"] == "GPU"


def test_a_delegate_that_does_not_load_falls_back(core: Core, bundle: Path) -> None:
    class Refusing(Host):
        def load(self, file: str, delegate: str) -> dict[str, Any]:
            return {} if delegate == "GPU" else {"loaded": file}

    core.reply = Refusing(bundle)
    assert choose(core, bundle, "text")["delegate"] == "CPU"


def test_vectors_of_another_length_fail(core: Core, bundle: Path) -> None:
    class Stretching(Host):
        def embedding(self, file: str, delegate: str, data: bytes) -> list[float]:
            return [1.01 * value for value in super().embedding(file, delegate, data)]

    core.reply = Stretching(bundle)
    with pytest.raises(RefusedError, match="no text tower of .* passes its golden test here"):
        choose(core, bundle, "text")


def test_pixels_in_another_order_fail(core: Core, bundle: Path) -> None:
    edit(bundle / MANIFEST, lambda value: value["preprocessing"].update(channel_order="BGR"))
    core.reply = Host(bundle)
    with pytest.raises(RefusedError, match="cosine"):
        choose(core, bundle, "image")


def test_a_photo_that_is_not_turned_upright_fails(core: Core, bundle: Path) -> None:
    class Lying(Host):
        def __call__(self, question: dict[str, Any]) -> dict[str, Any]:
            return super().__call__(question) | {"orientation": 1}

    core.reply = Lying(bundle)
    with pytest.raises(RefusedError, match="photo turned-right: pixels differ by"):
        choose(core, bundle, "image")


def test_other_token_ids_fail(core: Core, bundle: Path) -> None:
    change_golden(bundle, lambda value: value["sentences"][2]["ids"].reverse())
    core.reply = Host(bundle)
    with pytest.raises(RefusedError, match="sentence 'pavement': other token ids"):
        choose(core, bundle, "text")


@pytest.mark.parametrize("name", [IMAGE, TEXT])
@pytest.mark.parametrize("place", [0, 12_345, -1])
def test_a_tower_with_one_bit_changed_is_refused(
    core: Core, bundle: Path, name: str, place: int
) -> None:
    core("bundle", folder=str(bundle))
    assert core("checked", file=name) == str(bundle / name)
    flip(bundle / name, place)
    with pytest.raises(RefusedError, match="is damaged: its SHA-256 is not the one in bundle.json"):
        core("checked", file=name)
    core.reply = host = Host(bundle)
    with pytest.raises(RefusedError, match="damaged"):
        choose(core, bundle, "image" if name == IMAGE else "text")
    assert not host.loaded


def test_a_changed_golden_file_is_refused(core: Core, bundle: Path) -> None:
    core.reply = host = Host(bundle)
    flip_byte(bundle / "golden.json")
    with pytest.raises(RefusedError, match="golden.json is damaged: its SHA-256 is not the one in"):
        choose(core, bundle, "text")
    assert not host.loaded


def test_a_manifest_from_before_the_golden_files_hash_is_read(core: Core, bundle: Path) -> None:
    edit(bundle / MANIFEST, lambda value: value.pop("golden_sha256"))
    core.reply = Host(bundle)
    assert choose(core, bundle, "text")["passed"]


def test_a_changed_vocabulary_is_refused(core: Core, bundle: Path) -> None:
    flip(bundle / "merges.txt", 100)
    core("bundle", folder=str(bundle))
    with pytest.raises(RefusedError, match="merges.txt is damaged"):
        core("tokens", sentences=["a dog"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda value: value.update(format=2), "has format 2, this app reads up to 1: update"),
        (lambda value: value.pop("text"), "text is not a JSON object"),
        (lambda value: value.pop("name"), "name is missing"),
        (lambda value: value.update(embedding_dim="x"), "embedding_dim has another type"),
        (lambda value: value["preprocessing"].update(size=3), "image size of 3 cannot be"),
        (lambda value: value["preprocessing"].update(resize_mode="tile"), "know resize_mode tile"),
        (
            lambda value: value["text"].update(kind="sentencepiece", start_id=None),
            "by sentencepiece, and this app knows only byte pairs",
        ),
        (lambda value: value["text"].update(cleaning="canonical"), "know cleaning canonical"),
    ],
)
def test_a_manifest_that_cannot_be_followed_is_refused(
    core: Core, bundle: Path, change: Callable[[Any], object], reason: str
) -> None:
    edit(bundle / MANIFEST, change)
    with pytest.raises(RefusedError, match=reason):
        core("bundle", folder=str(bundle))


def test_no_bundle_half_a_manifest_and_paths_that_lead_out(core: Core, bundle: Path) -> None:
    with pytest.raises(RefusedError, match=r"bundle.json cannot be read"):
        core("bundle", folder=str(bundle / "onnx"))
    edit(bundle / MANIFEST, lambda value: value["files"][0].update(file="../secret"))
    (bundle.parent / "secret").write_bytes(b"")
    core("bundle", folder=str(bundle))
    with pytest.raises(RefusedError, match="lies outside the bundle"):
        core("checked", file="../secret")
    whole = (bundle / MANIFEST).read_text("utf-8")
    (bundle / MANIFEST).write_text(whole[:-40], "utf-8")
    with pytest.raises(RefusedError, match=r"bundle.json is damaged: not JSON: .* at character"):
        core("bundle", folder=str(bundle))


def test_the_recommended_file_comes_first_then_the_smallest(core: Core, bundle: Path) -> None:
    def add(value: Any) -> None:
        image = value["files"][0]
        image["recommended"] = False
        for format, precision, bytes, recommended in (
            ("litert", "fp32", 900, False),
            ("litert", "int8", 300, False),
            ("coreml", "fp16", 10, True),
            ("litert", "fp16", 800, True),
        ):
            name = f"{format}/image-{precision}"
            value["files"].append(
                image
                | {"format": format, "precision": precision, "file": name, "bytes": bytes}
                | {"recommended": recommended, "later_field": 1}
            )

    edit(bundle / MANIFEST, add)
    core("bundle", folder=str(bundle))
    names = core("candidates", tower="image", formats=["onnx", "litert"])
    assert names == [
        *("litert/image-fp16", "litert/image-int8", "litert/image-fp32", "onnx/image-mixed.onnx"),
    ]
    assert core("candidates", tower="image", formats=["onnx"]) == ["onnx/image-mixed.onnx"]
    with pytest.raises(RefusedError, match="no text tower as litert: export it again"):
        core("candidates", tower="text", formats=["litert"])


@pytest.mark.parametrize(
    "text",
    ['{"a": [1, -2.5e3, true, null, "\\u00e9\\n\\"\\\\/"]}', "[]", "{}", '"\\ud83d\\udc36"'],
)
def test_json_is_read_as_python_reads_it(core: Core, text: str) -> None:
    assert core("json", text=text) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1,]", "{'a':1}", "01", "1.", "+1", "NaN", "[1] 2", '"\t"', '"\\x"', "[" * 99],
)
def test_what_is_not_json_is_refused(core: Core, text: str) -> None:
    with pytest.raises(AssertionError, match="not JSON"):
        core("json", text=text)
