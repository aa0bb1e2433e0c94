import gzip
import json

import pytest
from PIL import Image

from retrieval.corpora.pairs import flatten_captions, read_pairs
from retrieval.corpora.photos import find_photos
from retrieval.corpora.sentences import read_sentences
from retrieval.spec.errors import CorpusError


def photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)
    return path


def write_lines(path, *values):
    path.write_text("".join(json.dumps(value) + "\n" for value in values), "utf-8")
    return path


def test_pairs_are_read_in_order_and_relative_to_the_file(tmp_path):
    for name in ("b.jpg", "a.png"):
        photo(tmp_path / "dev" / name)
    pairs = read_pairs(
        write_lines(
            tmp_path / "dev.jsonl",
            {"image": "dev/b.jpg", "captions": ["one", "zwei Hunde im Gebüsch"], "id": 7},
            {"image": "dev/a.png", "captions": ["three"]},
        )
    )
    assert [pair.image for pair in pairs] == [tmp_path / "dev/b.jpg", tmp_path / "dev/a.png"]
    assert flatten_captions(pairs) == (["one", "zwei Hunde im Gebüsch", "three"], [0, 0, 1])


def test_a_photo_on_two_lines_keeps_all_its_captions(tmp_path):
    photo(tmp_path / "a.jpg")
    lines = [{"image": "a.jpg", "captions": [text]} for text in ("one", "two")]
    pairs = read_pairs(write_lines(tmp_path / "pairs.jsonl", *lines))
    assert [pair.captions for pair in pairs] == [("one", "two")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"image": "a.jpg"}', "no captions"),
        ('{"caption": "x"}', "no image and no captions"),
        ('{"image": 3, "captions": ["x"]}', "path of a photo"),
        ('{"image": "a.jpg", "captions": "x"}', "list of sentences"),
        ('{"image": "a.jpg", "captions": [1]}', "list of sentences"),
        ('{"image": "a.jpg", "captions": []}', "captions are empty"),
        ('{"image": "a.jpg", "captions": ["ok", "  "]}', "captions are empty"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, said):
    photo(tmp_path / "a.jpg")
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"image": "a.jpg", "captions": ["fine"]}\n\n' + line + "\n", "utf-8")
    with pytest.raises(CorpusError, match=said) as caught:
        read_pairs(path)
    assert f"{path}:3:" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_photos_are_counted_and_the_first_is_named(tmp_path):
    photo(tmp_path / "a.jpg")
    lines = [{"image": f"{name}.jpg", "captions": ["x"]} for name in "abc"]
    path = write_lines(tmp_path / "pairs.jsonl", *lines)
    with pytest.raises(CorpusError, match=r"pairs\.jsonl:2: no such photo .*b\.jpg \(and 1 more"):
        read_pairs(path)


@pytest.mark.parametrize("content", [b"", b"\n  \n"])
def test_empty_files_are_refused(tmp_path, content):
    for name, read in (("a.jsonl", read_pairs), ("a.txt", read_sentences)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CorpusError, match="holds no"):
            read(tmp_path / name)


def test_sentences_of_text_gzip_and_pairs(tmp_path):
    text = "\ufeffzwei Hunde\r\n\n  ein Käse \nzwei Hunde\n"
    (tmp_path / "a.txt").write_bytes(text.encode())
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(text.encode()))
    expected = ["zwei Hunde", "ein Käse", "zwei Hunde"]
    assert read_sentences(tmp_path / "a.txt") == expected
    assert read_sentences(tmp_path / "a.txt.gz") == expected
    photo(tmp_path / "a.jpg")
    pairs = write_lines(tmp_path / "a.jsonl", {"image": "a.jpg", "captions": expected})
    assert read_sentences(pairs) == expected


def test_sentences_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.txt").write_bytes("fine\nK\xe4se\n".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"latin\.txt:2: not UTF-8"):
        read_sentences(tmp_path / "latin.txt")
    whole = gzip.compress(b"a sentence\n" * 10_000)
    for name, content in (("cut.txt.gz", whole[:60]), ("fake.txt.gz", b"no gzip at all")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CorpusError, match=rf"{name}: cannot be read"):
            read_sentences(tmp_path / name)
    with pytest.raises(CorpusError, match="no such file"):
        read_sentences(tmp_path / "none.txt")
    with pytest.raises(CorpusError, match="cannot be read"):
        read_sentences(tmp_path)


def test_photos_are_found_below_sorted_without_hidden_ones(tmp_path):
    found = [photo(tmp_path / name) for name in ("a/z.JPG", "b.png", "a/c/d.jpeg")]
    for name in (".hidden/x.jpg", "a/._z.jpg"):
        photo(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no photo")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert find_photos(tmp_path) == sorted(found)


def test_folders_without_photos_are_refused(tmp_path):
    with pytest.raises(CorpusError, match="no photos"):
        find_photos(tmp_path)
    with pytest.raises(CorpusError, match="no such folder"):
        find_photos(tmp_path / "none")
