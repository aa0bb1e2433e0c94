import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.verify import golden_inputs
from export.verify.figures import Loss
from export.verify.golden import MIN_COSINE, read_golden
from export.verify.golden_check import check_golden
from export.verify.judge import Evidence, judge_file, judge_pairs
from export.verify.ladder import verify
from export.verify.layers import Layer, first_jump
from export.verify.layers_onnx import onnx_layers
from export.verify.material import gathered
from export.verify.overlap import top_overlap
from export.verify.page import render
from export.verify.recommend import choose, with_choices
from export.verify.run_file import Outcome, run_file
from export.verify.save import as_json, save
from export.verify.truth import FP32_FILE, GOLDEN_VECTORS, PYTORCH, Truth, from_bundle
from retrieval.corpora.pairs import CaptionedPhoto
from retrieval.encode.onnx import OnnxEncoder
from retrieval.models.checkpoint import load_checkpoint
from retrieval.spec.bundle import read_bundle
from retrieval.spec.errors import BundleError, EvaluationError
from retrieval.spec.files import sha256_path, size_of, write_json
from tests.tiny import DIM, tiny_bundle

PHOTOS = 14


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Drawn landscapes, none square, with two captions each."""
    folder = tmp_path_factory.mktemp("photos")
    made = []
    for number in range(PHOTOS):
        path = folder / f"{number}.jpg"
        path.write_bytes(golden_inputs.landscape(90 + 3 * number, 70, seed=number))
        made.append(CaptionedPhoto(path, (f"picture {number} of a field", f"{number * 7} circles")))
    return made


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """fp32 and int8 ONNX files, and a Core ML entry that no machine but a Mac can run."""
    folder = tmp_path_factory.mktemp("verified") / "bundle"
    made = tiny_bundle(folder, precision=["fp32", "int8"])
    package = folder / "coreml" / "image-fp16.mlpackage"
    package.mkdir(parents=True)
    (package / "model.mlmodel").write_bytes(b"only a Mac can read this")
    entry = made.files[0].model_copy(
        update={
            "format": "coreml",
            "precision": "fp16",
            "file": "coreml/image-fp16.mlpackage",
            "sha256": sha256_path(package),
            "bytes": size_of(package),
        }
    )
    changed = made.model_copy(update={"files": (*made.files, entry)})
    write_json(folder / "bundle.json", changed.model_dump(mode="json"))
    return folder


@pytest.fixture(scope="module")
def checkpoint(bundle):
    return load_checkpoint(bundle.with_name("bundle.checkpoint"))


@pytest.fixture(scope="module")
def verified(bundle, pairs, checkpoint):
    """One run of the whole ladder, saved into the bundle."""
    found = verify(bundle, pairs, checkpoint=checkpoint, recommended=True, golden=True)
    save(bundle, found)
    return found


def by_name(verified):
    return {file.file: file for file in verified.verification.files}


def test_every_file_that_runs_here_is_compared_with_pytorch(verified):
    verification = verified.verification
    assert verification.truth == PYTORCH
    assert (verification.photos, verification.captions) == (PHOTOS, 2 * PHOTOS)
    ran = [file for file in verification.files if file.not_run is None]
    assert len(ran) == 4
    for file in ran:
        assert file.failures == ()
        assert 0.95 < file.worst_cosine <= file.median_cosine <= 1
        assert file.golden_cosine >= file.worst_cosine
        assert file.ms > 0
        assert file.peak_memory > file.added_memory > 0
    exact = by_name(verified)["onnx/image-fp32.onnx"]
    rounded = by_name(verified)["onnx/image-int8.onnx"]
    assert exact.worst_cosine > 0.9999
    assert rounded.worst_cosine < exact.worst_cosine
    assert rounded.bytes < exact.bytes


def test_what_needs_a_mac_is_listed_and_never_passes(verified):
    row = by_name(verified)["coreml/image-fp16.mlpackage"]
    assert "Mac" in row.not_run
    assert (row.worst_cosine, row.ms, row.loss, row.failures) == (None, None, None, ())
    assert "coreml" not in {pair.format for pair in verified.verification.pairs}


def test_pairs_say_what_they_retrieve_and_what_is_lost(verified):
    pairs = {pair.image: pair for pair in verified.verification.pairs if pair.image == pair.text}
    exact = pairs["fp32"]
    assert exact.loss.overlap > 0.99
    assert exact.loss.worst_at_10 == 0
    assert set(exact.loss.points["text_to_image"]) == {"recall@1", "recall@5", "recall@10"}
    assert 0.5 < pairs["int8"].loss.overlap <= 1
    assert [pair.opened for pair in verified.verification.pairs].count(True) == 1


def test_the_recommended_files_are_the_smallest_within_the_tolerance(bundle, verified):
    chosen = [file for file in read_bundle(bundle).files if file.recommended]
    assert [file.tower for file in chosen] == ["image", "text"]
    (opened,) = [pair for pair in verified.verification.pairs if pair.opened]
    assert (opened.image, opened.text) == tuple(file.precision for file in chosen)
    assert opened.loss.worst_at_10 <= verified.verification.tolerance
    smaller = [
        pair
        for pair in verified.verification.pairs
        if pair.bytes < opened.bytes and pair.loss.worst_at_10 <= verified.verification.tolerance
    ]
    assert smaller == []


def test_the_report_keeps_what_the_exporter_wrote(bundle, verified):
    report = json.loads((bundle / "report.json").read_text())
    assert {"parity", "golden", "metrics", "bytes", "verification"} <= set(report)
    assert report["verification"]["passed"] is True
    assert report["verification"] == as_json(verified.verification)
    assert not list(bundle.glob(".*"))


def test_the_new_golden_file_passes_with_tolerances_for_every_precision(bundle, verified):
    golden = read_golden(bundle)
    assert golden == verified.golden
    assert set(golden.min_cosine) == set(MIN_COSINE)
    assert golden.min_cosine["fp32"] == 0.9999
    assert all(golden.min_cosine[name] <= limit for name, limit in MIN_COSINE.items())
    assert check_golden(OnnxEncoder(bundle), bundle).failures == ()


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.open = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_accessible_and_asks_nothing_of_the_network(bundle, verified):
    text = (bundle / "report.html").read_text("utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert not re.search(r"https?:|url\(|@import", text)
    assert ("lang", "en") in page.attributes
    assert page.tags.count("caption") == page.tags.count("table") == 2
    assert ("scope", "row") in page.attributes and ("scope", "col") in page.attributes
    assert {"title", "desc", "svg", "main", "h1"} <= set(page.tags)
    for file in verified.verification.files:
        assert file.file in text
    assert "needs a Mac" in text


def test_names_are_escaped_on_the_page(verified):
    named = verified.bundle.model_copy(update={"name": "<script>alert(1)</script>"})
    assert "<script" not in render(named, verified.verification)


@pytest.fixture(scope="module")
def material(bundle, pairs):
    with gathered(bundle, pairs) as found:
        yield found


def with_vectors(material, vectors_of):
    """Evidence with an fp32 truth that is random, and files that are near it or not."""
    generator = np.random.default_rng(0)
    vectors = {}
    for tower in ("image", "text"):
        rows = generator.normal(size=(len(material.rows(tower)), DIM)).astype(np.float32)
        vectors[tower] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    photos = vectors["image"][material.skipped["image"] :]
    vectors["text"][material.skipped["text"] :] = photos[material.photo_of_caption]
    truth = Truth(PYTORCH, vectors, whole=True)
    outcomes = {
        file: Outcome(vectors=vectors_of(file, vectors[file.tower]))
        if file.format == "onnx"
        else Outcome(not_run="needs a Mac")
        for file in material.bundle.files
    }
    return Evidence(material, truth, outcomes, material.golden)


def shuffled(vectors):
    return vectors[np.random.default_rng(1).permutation(len(vectors))]


def test_a_file_that_retrieves_nothing_is_not_recommended(material):
    def vectors_of(file, right):
        return shuffled(right) if (file.tower, file.precision) == ("text", "int8") else right

    evidence = with_vectors(material, vectors_of)
    figures = {file: judge_file(evidence, file) for file in material.bundle.files}
    choices = choose(evidence, figures, 0.5)
    assert [file.precision for file in choices["onnx"]] == ["int8", "fp32"]
    assert "coreml" not in choices
    bundle = with_choices(material.bundle, choices)
    marked = {file.file for file in bundle.files if file.recommended}
    assert marked == {"onnx/image-int8.onnx", "onnx/text-fp32.onnx"}
    opened = [pair for pair in judge_pairs(evidence, bundle, 0.5) if pair.opened]
    assert [(pair.image, pair.text, pair.failures) for pair in opened] == [("int8", "fp32", ())]
    # Without the flags a host opens the smallest, which is lost.
    plain = with_choices(material.bundle, {"onnx": None})
    (smallest,) = [pair for pair in judge_pairs(evidence, plain, 0.5) if pair.opened]
    assert "points of recall@10" in smallest.failures[0]


def test_nothing_is_recommended_where_nothing_retrieves(material):
    evidence = with_vectors(material, lambda file, right: shuffled(right))
    figures = {file: judge_file(evidence, file) for file in material.bundle.files}
    assert all(one.failures for file, one in figures.items() if file.format == "onnx")
    assert choose(evidence, figures, 0.5) == {"onnx": None}
    bundle = with_choices(material.bundle, {"onnx": None})
    assert not any(file.recommended for file in bundle.files)


def test_fp32_must_reach_its_target_on_every_input(material):
    def vectors_of(file, right):
        worse = right.copy()
        worse[-1] += 0.02
        return worse / np.linalg.norm(worse, axis=1, keepdims=True)

    evidence = with_vectors(material, vectors_of)
    for file in material.bundle.files[:4]:
        figures = judge_file(evidence, file)
        assert figures.golden_cosine > 0.99999
        assert bool(figures.failures) == (file.precision == "fp32")


def test_truth_without_a_checkpoint(material):
    runs = with_vectors(material, lambda file, right: right).outcomes
    assert from_bundle(material, runs).source == FP32_FILE
    only_int8 = {file: one for file, one in runs.items() if file.precision == "int8"}
    truth = from_bundle(material, only_int8)
    assert (truth.source, truth.whole) == (GOLDEN_VECTORS, False)
    assert len(truth.vectors["text"]) == material.skipped["text"]
    evidence = Evidence(material, truth, runs, material.golden)
    assert evidence.loss({}) if truth.whole else evidence.best is None
    with pytest.raises(EvaluationError, match="--checkpoint"):
        choose(evidence, {}, 0.5)


def test_overlap_is_the_share_of_common_results():
    photos = np.eye(24, dtype=np.float32)
    scores = np.linspace(1, 2, 24, dtype=np.float32)
    one, other = scores[None], np.roll(scores, 5)[None]
    assert top_overlap(photos, one, photos, one) == 1
    assert top_overlap(photos, one, photos, other) == 0.5


def test_loss_takes_the_worse_direction():
    points = {"text_to_image": {"recall@10": 0.1}, "image_to_text": {"recall@10": -0.4}}
    assert Loss(recall={}, points=points).worst_at_10 == 0.1


def broken(bundle, material, change):
    """A tower file with one weight changed, as an entry of the manifest."""
    model = onnx.load(bundle / "onnx" / "image-fp32.onnx")
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    products = [
        name
        for node in model.graph.node
        for name in node.input
        if node.op_type in ("MatMul", "Gemm") and name in weights
    ]
    # The last is the projection to the embedding.
    weight = weights[products[-2]]
    weight.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(weight)), weight.name))
    path = bundle / "onnx" / "broken.onnx"
    onnx.save(model, path)
    entry = material.bundle.file("image", "onnx", "fp32")
    return weight.name, entry.model_copy(update={"file": "onnx/broken.onnx"})


def test_the_layer_whose_weights_are_wrong_is_named(bundle, material):
    name, entry = broken(bundle, material, lambda weight: -weight)
    row = np.array(material.rows("image")[:1])
    layers = onnx_layers(bundle / "onnx" / "image-fp32.onnx", bundle / entry.file, row)
    (bundle / entry.file).unlink()
    assert name in first_jump(layers).partition(":")[0]


def test_errors_that_grow_slowly_have_no_culprit_and_small_differences_of_equals_are_none():
    ones = np.ones(8)
    growing = [
        Layer(f"layer {step}", (step - 1,) if step else (), ones, ones * 1.01 ** (step + 1))
        for step in range(9)
    ]
    assert first_jump(growing).startswith("layer 0")
    small = Layer("mean", (0,), ones * 1e-6, ones * 2e-3)
    late = Layer("late", (1,), ones, ones * 1.5)
    assert first_jump([growing[0], small, late]).startswith("late")
    assert first_jump([Layer("same", (), ones, ones)]).startswith("not located")
    assert first_jump([]).startswith("not located")


def test_a_file_whose_vectors_are_not_finite_fails_alone(bundle, material):
    _, entry = broken(bundle, material, lambda weight: weight * np.float32("nan"))
    outcome = run_file(material, entry)
    (bundle / entry.file).unlink()
    assert "are not finite" in outcome.failure
    assert outcome.vectors is None


def test_vectors_of_another_size_are_told(bundle, material):
    other = replace(material, bundle=material.bundle.model_copy(update={"embedding_dim": DIM + 1}))
    outcome = run_file(other, material.bundle.file("text", "onnx", "int8"))
    assert outcome.failure == f"it makes vectors of {DIM} numbers, the bundle promises {DIM + 1}"


def test_a_file_that_no_runtime_can_load_fails_with_its_reason(bundle, material):
    (bundle / "onnx" / "noise.onnx").write_bytes(b"noise")
    entry = material.bundle.files[0].model_copy(update={"file": "onnx/noise.onnx"})
    outcome = run_file(material, entry)
    (bundle / "onnx" / "noise.onnx").unlink()
    assert "cannot be loaded by ONNX Runtime" in outcome.failure


def test_another_checkpoint_is_refused(bundle, pairs, checkpoint):
    other = replace(checkpoint, fingerprint="0" * 32)
    with pytest.raises(BundleError, match="was not exported from this checkpoint"):
        verify(bundle, pairs, checkpoint=other)
