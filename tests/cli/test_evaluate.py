import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import save_colour
from tests.fixtures.tiny_bundle import write_tiny_bundle

COLOURS = ("red", "green", "blue", "yellow", "white")


@pytest.fixture
def bundle(tmp_path):
    return write_tiny_bundle(tmp_path / "bundle")


@pytest.fixture
def pairs(tmp_path):
    lines = []
    for colour in COLOURS:
        save_colour(tmp_path / "photos" / f"{colour}.png", colour)
        lines.append({"image": f"photos/{colour}.png", "captions": [f"a {colour} wall", colour]})
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_json_is_all_that_standard_output_holds(bundle, pairs):
    """As a user runs it: a process of its own, which never loads torch."""
    command = "import sys; from retrieval.cli.app import main\ntry: main()\n"
    command += "finally: print('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", command, "evaluate", str(bundle), str(pairs), "--json"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "COLUMNS": "40"},
        capture_output=True,
        text=True,
        check=True,
    )
    best = {"recall@1": 1.0, "recall@5": 1.0, "recall@10": 1.0, "median_rank": 1.0}
    assert json.loads(done.stdout) == {
        "text_to_image": best,
        "image_to_text": best,
        "photos": 5,
        "captions": 10,
    }
    assert done.stderr.splitlines()[-1] == "False"


def test_wrong_captions_lower_recall(bundle, pairs, leanclip):
    lines = [json.loads(line) for line in pairs.read_text().splitlines()]
    for line, colour in zip(lines[:2], ("green", "red"), strict=True):
        line["captions"] = [f"a {colour} wall"]
    pairs.write_text("".join(json.dumps(line) + "\n" for line in lines))
    status, output, _ = leanclip("evaluate", bundle, pairs, "--json", "--threads", 1)
    metrics = json.loads(output)
    assert status == 0
    assert metrics["text_to_image"]["recall@1"] == pytest.approx(6 / 8)
    assert metrics["image_to_text"]["recall@1"] == pytest.approx(3 / 5)
    assert (metrics["photos"], metrics["captions"]) == (5, 8)


def test_people_read_a_table(bundle, pairs, leanclip):
    status, output, _ = leanclip("evaluate", bundle, pairs, "--latency")
    assert status == 0
    rows = {line.split("│")[1].strip(): line for line in output.splitlines() if "│" in line}
    assert rows["text to image"].count("100.0 %") == 3
    assert "5 photos, 10 captions" in output
    assert "0.00 million parameters, 0.8 MB" in output
    assert "one thread, batch 1, 50 runs" in output


def test_latency_comes_as_one_more_key(bundle, pairs, leanclip):
    _, output, _ = leanclip("evaluate", bundle, pairs, "--latency", "--json")
    latency = json.loads(output)["latency"]
    assert (latency["threads"], latency["batch"], latency["sentence"]["runs"]) == (1, 1, 50)
    assert 0 < latency["photo"]["median_ms"] <= latency["photo"]["p90_ms"]
    assert latency["machine"]


def test_a_photo_that_cannot_be_decoded_is_left_out_and_named(bundle, pairs, leanclip):
    (pairs.parent / "photos" / "red.png").write_bytes(b"")
    status, output, errors = leanclip("evaluate", bundle, pairs, "--json")
    assert status == 0
    assert json.loads(output)["photos"] == 4
    assert "left out 1 photos" in errors and "red.png" in errors


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda pairs: pairs.unlink(), "pairs.jsonl: no such file"),
        (lambda pairs: pairs.write_text("{"), "pairs.jsonl:1: not JSON"),
        (lambda pairs: (pairs.parent / "photos/blue.png").unlink(), "pairs.jsonl:3: no such photo"),
        (
            lambda pairs: [p.write_bytes(b"") for p in (pairs.parent / "photos").iterdir()],
            "none of the photos can be decoded",
        ),
        (
            lambda pairs: (pairs.parent / "bundle/onnx/text.onnx").write_bytes(b"x"),
            "text.onnx is damaged",
        ),
        (lambda pairs: (pairs.parent / "bundle/bundle.json").unlink(), "is no model"),
    ],
)
def test_bad_input_gives_one_line(bundle, pairs, leanclip, spoil, said):
    spoil(pairs)
    status, output, errors = leanclip("evaluate", bundle, pairs, "--json")
    assert (status, output) == (1, "")
    last = errors.splitlines()[-1]
    assert last.startswith("leanclip: ") and said in last
    assert "Traceback" not in errors


def test_cache_embeds_then_reuses_then_refuses(bundle, pairs, leanclip, tmp_path):
    pytest.importorskip("torch")
    out = tmp_path / "cache"
    expected = {
        "folder": str(out),
        "teacher": "colours-0",
        "photos": 5,
        "sentences": 10,
        "computed": 15,
        "reused": 0,
        "skipped": 0,
    }
    status, output, _ = leanclip("cache", bundle, pairs, out, "--json")
    assert status == 0
    assert json.loads(output) == expected
    assert np.load(out / "img_emb/img_emb_0.npy").shape == (10, 8)

    _, output, _ = leanclip("cache", bundle, pairs, out)
    assert "5 photos, 10 sentences; 0 embedded now, 15 reused, 0 skipped" in output

    other = write_tiny_bundle(tmp_path / "other", seed=1)
    status, output, errors = leanclip("cache", other, pairs, out, "--json")
    assert (status, output) == (1, "")
    assert "another teacher: colours-0" in errors.splitlines()[-1]


def test_cache_lists_photos_that_it_skipped(bundle, pairs, leanclip, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "photos" / "red.png").write_bytes(b"no photo")
    status, output, errors = leanclip(
        "cache", bundle, tmp_path / "photos", tmp_path / "cache", "--json"
    )
    assert status == 0
    assert (json.loads(output)["photos"], json.loads(output)["skipped"]) == (4, 1)
    assert "skipped: " in errors and "red.png" in errors
