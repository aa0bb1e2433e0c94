import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from retrieval.bulk.folder import OutputFolder
from retrieval.encode.batches import encode_photos
from retrieval.encode.load import open_encoder
from tests.bulk.bulk_photos import fill_folder, png, read_elsewhere, write_tar
from tests.fixtures.tiny_bundle import write_tiny_bundle


@pytest.fixture
def tars(tmp_path):
    """Two tar files with captions in both ways, a damaged photo and one without caption."""
    write_tar(
        tmp_path / "shard-0.tar",
        a_png=png("red"),
        a_txt=b"a red wall\n",
        b_png=png("green"),
        b_json=json.dumps({"caption": "green", "width": 24, "exif": {"Make": "x"}}).encode(),
        c_png=b"no photo",
        c_txt=b"nothing",
    )
    write_tar(
        tmp_path / "shard-1.tar",
        d_txt=b"blue",
        d_json=json.dumps({"caption": "not this", "width": "24 px"}).encode(),
        d_png=png("blue"),
        e_png=png("white"),
    )
    return tmp_path / "shard-{0..1}.tar"


def test_a_folder_reads_back_elsewhere_as_if_encoded_directly(tmp_path, bundle, leanclip):
    photos = fill_folder(tmp_path / "photos", 10)
    status, output, _ = leanclip(
        "embed", photos, tmp_path / "out", "--model", bundle, "--shard-size", 4
    )
    assert status == 0
    assert "10 photos in 3 shards (3 embedded now), 0 skipped; image.index" in output
    found = read_elsewhere(tmp_path / "out")
    paths = sorted(photos.iterdir())
    assert [row["image_path"] for row in found.rows] == [str(path) for path in paths]
    assert found.images.dtype == np.float16
    direct = encode_photos(open_encoder(bundle), paths).embeddings
    np.testing.assert_allclose(found.images, direct, atol=1e-3)
    best = found.index.search(direct, 1)[1][:, 0]
    assert list(best) == list(range(10))
    assert not (tmp_path / "out" / "text_emb").exists()


def test_two_tar_files_with_captions_and_fields(tmp_path, bundle, tars, leanclip):
    out = tmp_path / "out"
    status, output, error = leanclip("embed", tars, out, "--model", bundle, "--fields", "--json")
    assert status == 0, error
    report = json.loads(output)
    assert (report["photos"], report["captions"], report["shards"]) == (3, 3, 2)
    assert report["indexes"] == ["image.index", "text.index"]
    named = {one["photo"]: one["why"] for one in report["skipped"]}
    assert "is not a photo" in named.pop(f"{tmp_path}/shard-0.tar/c.png")
    assert named == {f"{tmp_path}/shard-1.tar/e.png": "no caption beside it"}
    found = read_elsewhere(out)
    names = ["shard-0.tar/a.png", "shard-0.tar/b.png", "shard-1.tar/d.png"]
    assert [row["image_path"] for row in found.rows] == [f"{tmp_path}/{name}" for name in names]
    assert [row["caption"] for row in found.rows] == ["a red wall", "green", "blue"]
    assert [row["width"] for row in found.rows] == [None, 24, "24 px"]
    assert found.rows[1]["exif.Make"] == "x"
    np.testing.assert_allclose(
        found.texts, open_encoder(bundle).encode_sentences(["red", "green", "blue"]), atol=1e-3
    )
    assert list(found.text_index.search(found.images.astype(np.float32), 1)[1][:, 0]) == [0, 1, 2]


def test_captions_can_be_left_out(tmp_path, bundle, tars, leanclip):
    out = tmp_path / "out"
    arguments = ("embed", tars, out, "--model", bundle, "--no-captions", "--json")
    assert json.loads(leanclip(*arguments)[1])["photos"] == 4
    assert set(read_elsewhere(out).rows[0]) == {"image_path"}
    assert not (out / "text_emb").exists()


def test_captions_lie_beside_the_photos_of_a_folder(tmp_path, bundle, leanclip):
    photos = fill_folder(tmp_path / "photos", 2)
    (photos / "00000.txt").write_text("red\n")
    (photos / "00001.json").write_text('{"captions": [" blue ", "other"]}')
    status, _, _ = leanclip("embed", photos, tmp_path / "out", "--model", bundle)
    assert status == 0
    rows = read_elsewhere(tmp_path / "out").rows
    assert [row["caption"] for row in rows] == ["red", "blue"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_stopped_is_continued(tmp_path, bundle, leanclip, how):
    photos = fill_folder(tmp_path / "photos", 24, size=400)
    out = tmp_path / "out"
    arguments = ["embed", str(photos), str(out), "--model", str(bundle), "--shard-size", "4"]
    running = subprocess.Popen(
        [sys.executable, "-m", "retrieval.cli", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TERM": "dumb"},
        # What a shell starts in the background ignores it, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    first = out / "embedding" / "shards" / "0" / "summary.json"
    while not first.exists():
        assert running.poll() is None
        time.sleep(0.005)
    running.send_signal(how)
    _, said = running.communicate(timeout=60)
    if how == signal.SIGINT:
        assert running.returncode == 130
        assert said.splitlines()[-1].startswith("leanclip: interrupted; what was finished is kept")
    done = sorted(path.parent.name for path in out.glob("embedding/shards/*/summary.json"))
    assert len(done) < 6
    before = first.stat().st_mtime_ns
    status, output, error = leanclip(*arguments, "--json")
    assert status == 0, error
    assert json.loads(output)["embedded"] == 6 - len(done)
    assert first.stat().st_mtime_ns == before
    rows = read_elsewhere(out).rows
    assert [row["image_path"] for row in rows] == [str(path) for path in sorted(photos.iterdir())]
    assert sorted(path.name for path in (out / "embedding" / "shards").iterdir()) == list("012345")


def test_the_first_of_two_attempts_at_a_shard_wins(tmp_path):
    out = OutputFolder(tmp_path)

    def write(text):
        return lambda folder: (folder / "images.npy").write_text(text)

    assert out.commit(3, write("first"))
    assert not out.commit(3, write("second"))
    assert [path.name for path in out.shards.iterdir()] == ["3"]
    assert (out.done(3) / "images.npy").read_text() == "first"
    assert out.shard(3, 11).images == tmp_path / "img_emb" / "img_emb_03.npy"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda a: a | {"model": "other"}, "was embedded by another model: colours-0"),
        (lambda a: a | {"source": "more"}, "holds embeddings of "),
        (lambda a: a | {"more": ("--captions",)}, "was begun without captions"),
        (lambda a: a | {"more": ("--shard-size", 7)}, "was begun with --shard-size 10000"),
    ],
)
def test_another_embedding_is_refused(tmp_path, bundle, leanclip, change, complaint):
    write_tiny_bundle(tmp_path / "other", seed=1)
    fill_folder(tmp_path / "photos", 2)
    fill_folder(tmp_path / "more", 2)
    out = tmp_path / "out"
    assert leanclip("embed", tmp_path / "photos", out, "--model", bundle)[0] == 0
    asked = change({"model": "bundle", "source": "photos", "more": ()})
    status, output, error = leanclip(
        "embed", tmp_path / asked["source"], out, "--model", tmp_path / asked["model"],
        *asked["more"],
    )  # fmt: skip
    assert (status, output, len(error.splitlines())) == (1, "", 1)
    assert complaint in error


def test_photos_that_came_later_are_told_of(tmp_path, bundle, leanclip):
    photos = fill_folder(tmp_path / "photos", 2)
    leanclip("embed", photos, tmp_path / "out", "--model", bundle)
    fill_folder(photos, 3)
    status, _, error = leanclip("embed", photos, tmp_path / "out", "--model", bundle)
    assert status == 0
    assert "1 photos came since the embedding was begun" in error
    assert len(read_elsewhere(tmp_path / "out").rows) == 2
