import io
import json
import sys
import tarfile

import pytest
import webdataset
from PIL import Image

from retrieval.compress.cache.corpus import Corpus
from retrieval.compress.cache.plan import PhotoKey
from retrieval.corpora.pairs import read_pairs
from retrieval.corpora.photos import find_photos
from retrieval.corpora.sentences import read_sentences
from retrieval.spec.errors import CorpusError, MissingExtraError, PhotoError
from retrieval.vision.decode import open_photo
from retrieval.vision.members import open_file


def jpeg(grey=100, size=(24, 16)):
    packed = io.BytesIO()
    Image.new("L", size, grey).convert("RGB").save(packed, "JPEG")
    return packed.getvalue()


def write_shard(path, *samples):
    with webdataset.TarWriter(str(path)) as writer:
        for sample in samples:
            writer.write(sample)
    return path


def captioned(number, **more):
    return {"__key__": f"part/{number:04}", "jpg": jpeg(number), **more}


@pytest.fixture
def shards(tmp_path):
    """Two shards of two photos with captions, in the three ways that captions are written."""
    write_shard(
        tmp_path / "dev-000.tar",
        captioned(1, txt="one\n\n two "),
        captioned(2, json={"caption": "three", "width": 24}),
    )
    write_shard(
        tmp_path / "dev-001.tar",
        captioned(1, txt="not this", json={"captions": ["four", "five"]}),
        captioned(3, txt="six", json={"caption": "nor this"}),
    )
    return tmp_path / "dev-{000..001}.tar"


def refusal(read, path):
    with pytest.raises(CorpusError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_photos_and_captions_come_in_the_order_of_the_shards(shards):
    pairs = read_pairs(shards)
    folder = shards.parent
    assert [pair.image for pair in pairs] == [
        folder / "dev-000.tar/part/0001.jpg",
        folder / "dev-000.tar/part/0002.jpg",
        folder / "dev-001.tar/part/0001.jpg",
        folder / "dev-001.tar/part/0003.jpg",
    ]
    assert [pair.captions for pair in pairs] == [
        ("one", "two"),
        ("three",),
        ("four", "five"),
        ("six",),
    ]
    assert find_photos(shards) == [pair.image for pair in pairs]
    assert read_sentences(shards) == ["one", "two", "three", "four", "five", "six"]
    assert read_pairs(folder / "dev-001.tar") == pairs[2:]


def test_a_photo_in_a_shard_opens_as_the_same_photo_in_a_folder(tmp_path):
    content = jpeg(90, (700, 500))
    shard = write_shard(tmp_path / "a.tar", captioned(1), {"__key__": "b", "jpg": content})
    (tmp_path / "b.jpg").write_bytes(content)
    inside, outside = (open_photo(one, target=100) for one in (shard / "b.jpg", tmp_path / "b.jpg"))
    assert inside.size == outside.size == (350, 250)
    assert inside.tobytes() == outside.tobytes()
    assert open_file(shard / "b.jpg").read() == content
    key = PhotoKey.of(shard / "b.jpg")
    assert key.bytes == len(content)
    assert key.mtime_ns == shard.stat().st_mtime_ns


def test_shards_are_captioned_photos_only_when_they_hold_captions(shards, tmp_path):
    assert Corpus.open(shards).kind == "pairs"
    bare = write_shard(tmp_path / "bare.tar", captioned(1), captioned(2))
    assert Corpus.open(bare).kind == "photos"
    assert [row.photo for row in Corpus.open(bare).rows] == find_photos(bare)
    assert "0001.jpg: no caption beside it" in refusal(read_pairs, bare)


def test_a_member_that_is_missing_or_empty_is_a_bad_photo(tmp_path):
    shard = write_shard(tmp_path / "a.tar", captioned(1), {"__key__": "b", "jpg": b""})
    with pytest.raises(PhotoError, match="No such member"):
        open_photo(shard / "c.jpg")
    with pytest.raises(PhotoError, match="is empty"):
        open_photo(shard / "b.jpg")
    assert PhotoKey.of(shard / "c.jpg").bytes == -1


def test_a_missing_shard_is_named(shards):
    (shards.parent / "dev-001.tar").unlink()
    message = refusal(find_photos, shards)
    assert message.endswith("dev-001.tar: no such file (1 of 2 shards are missing)")


@pytest.mark.parametrize("damage", ["cut in a photo", "cut between", "header", "compressed"])
def test_a_damaged_shard_is_one_clear_line(tmp_path, damage):
    shard = write_shard(tmp_path / "a.tar", *(captioned(number) for number in range(4)))
    content = shard.read_bytes()
    with tarfile.open(shard) as archive:
        third = archive.getmembers()[2]
    if damage == "cut in a photo":
        shard.write_bytes(content[: third.offset_data + 10])
    elif damage == "cut between":
        shard.write_bytes(content[: third.offset])
    elif damage == "header":
        shard.write_bytes(content[: third.offset] + b"\1" * 512 + content[third.offset_data :])
    else:
        with tarfile.open(shard, "w:gz") as archive:
            archive.addfile(tarfile.TarInfo("a.jpg"), io.BytesIO())
    assert "a.tar is not a whole, uncompressed tar file" in refusal(find_photos, shard)


def test_bad_captions_name_the_member(tmp_path):
    shard = write_shard(tmp_path / "a.tar", {"__key__": "x", "jpg": jpeg(), "txt": b"\xff"})
    assert "a.tar/x.txt: not UTF-8" in refusal(read_pairs, shard)
    shard = write_shard(tmp_path / "b.tar", {"__key__": "x", "jpg": jpeg(), "json": b"{"})
    assert "b.tar/x.json: not JSON" in refusal(read_pairs, shard)
    shard = write_shard(tmp_path / "c.tar", captioned(1, json=json.dumps([1]).encode()))
    assert "c.tar/part/0001.jpg: no caption beside it" in refusal(read_pairs, shard)


def test_without_webdataset_the_extra_is_named(shards, monkeypatch):
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'leanclip\[distributed\]'"):
        find_photos(shards)
