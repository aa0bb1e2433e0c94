import json
import resource
import sys

import pytest

from retrieval.bulk.cluster import TRIES, _embed
from tests.bulk.bulk_photos import fill_folder, png, read_elsewhere, write_tar


def refused(answer):
    status, output, error = answer
    lines = [line for line in error.splitlines() if line.startswith("leanclip: ")]
    assert (status, output, len(lines)) == (1, "", 1)
    assert "Traceback" not in error
    return lines[0]


def test_a_damaged_shard_does_not_stop_the_others(tmp_path, bundle, leanclip):
    write_tar(tmp_path / "a-0.tar", x_png=png("red"))
    whole = write_tar(tmp_path / "a-1.tar", y_png=png("green")).read_bytes()
    write_tar(tmp_path / "a-2.tar", z_png=png("blue"))
    (tmp_path / "a-1.tar").write_bytes(whole[:600])
    out = tmp_path / "out"
    arguments = ("embed", tmp_path / "a-{0..2}.tar", out, "--model", bundle)
    said = refused(leanclip(*arguments))
    assert "a-1.tar is not a whole, uncompressed tar file" in said
    assert "1 of 3 shards failed, the others are done" in said
    assert not (out / "image.index").exists()
    (tmp_path / "a-1.tar").write_bytes(whole)
    status, output, _ = leanclip(*arguments, "--json")
    assert (status, json.loads(output)["embedded"]) == (0, 1)
    names = [row["image_path"][-5:] for row in read_elsewhere(out).rows]
    assert names == ["x.png", "y.png", "z.png"]


def test_a_tar_file_that_has_grown_is_refused(tmp_path, bundle, leanclip):
    tar = write_tar(tmp_path / "a.tar", x_png=png("red"))
    assert leanclip("embed", tar, tmp_path / "out", "--model", bundle)[0] == 0
    with tar.open("ab") as stream:
        stream.write(bytes(10240))
    said = refused(leanclip("embed", tar, tmp_path / "out", "--model", bundle))
    assert f"{tar} has changed since it was embedded" in said


def test_a_full_disk_is_one_line_and_leaves_nothing_half(tmp_path, bundle, leanclip):
    photos = fill_folder(tmp_path / "photos", 300, size=8)
    out = tmp_path / "out"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Room for the plan, not for 300 embeddings.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4500, limits[1]))
    try:
        said = refused(leanclip("embed", photos, out, "--model", bundle))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert said.endswith("images.npy: File too large")
    assert list((out / "embedding" / "shards").iterdir()) == []
    assert leanclip("embed", photos, out, "--model", bundle)[0] == 0
    assert len(read_elsewhere(out).rows) == 300


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("missing", "missing: no such folder of photos"),
        ("x-{0..1}.tar", "x-0.tar: no such file (2 of 2 shards are missing)"),
        ("empty", "empty: no photos in this folder or below it"),
        ("bad", "none of the 1 photos can be embedded, such as "),
        ("texts.tar", "none of the 0 photos can be embedded"),
    ],
)
def test_a_source_without_photos_is_one_line(tmp_path, bundle, leanclip, source, complaint):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.jpg").write_bytes(b"no photo")
    write_tar(tmp_path / "texts.tar", a_txt=b"no photo")
    said = refused(leanclip("embed", tmp_path / source, tmp_path / "out", "--model", bundle))
    assert complaint in said


def test_a_folder_of_something_else_is_left_alone(tmp_path, bundle, leanclip):
    photos = fill_folder(tmp_path / "photos", 1)
    out = tmp_path / "out"
    out.mkdir()
    (out / "letter.txt").write_text("dear")
    said = refused(leanclip("embed", photos, out, "--model", bundle))
    assert "holds something else than embeddings" in said
    assert [path.name for path in out.iterdir()] == ["letter.txt"]


def test_a_lost_array_is_named(tmp_path, bundle, leanclip):
    photos = fill_folder(tmp_path / "photos", 1)
    out = tmp_path / "out"
    leanclip("embed", photos, out, "--model", bundle)
    (out / "img_emb" / "img_emb_0.npy").unlink()
    said = refused(leanclip("embed", photos, out, "--model", bundle))
    assert f"{out}/img_emb/img_emb_0.npy is missing; remove {out}/embedding/shards/0" in said


def test_what_is_missing_for_a_cluster_is_one_line(tmp_path, bundle, leanclip, monkeypatch):
    photos = fill_folder(tmp_path / "photos", 1)
    arguments = ("embed", photos, tmp_path / "out", "--model", bundle, "--ray")
    said = refused(leanclip(*arguments, "127.0.0.1:1"))
    assert "no Ray cluster answers at 127.0.0.1:1: Connection refused" in said
    monkeypatch.setitem(sys.modules, "ray", None)
    said = refused(leanclip(*arguments, "local"))
    assert "pip install 'leanclip[distributed]'" in said
    assert not (tmp_path / "out").exists()


def test_a_shard_that_kills_each_process_is_given_up(tmp_path):
    tries = tmp_path / "embedding" / "tries" / "5"
    tries.mkdir(parents=True)
    for number in range(TRIES):
        (tries / str(number)).touch()
    outcome = _embed({"number": 5}, out=str(tmp_path), model="default")
    assert outcome["problem"] == f"its process was killed {TRIES} times"
