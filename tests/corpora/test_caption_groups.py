import json
from pathlib import Path

import pytest

from retrieval.corpora.captions import read_caption_groups
from retrieval.spec.errors import CorpusError


def write(path: Path, *lines: object) -> Path:
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("".join(f"{text}\n" for text in texts), "utf-8")
    return path


def test_each_line_is_a_group_and_lonely_captions_are_left_out(tmp_path: Path) -> None:
    path = write(
        tmp_path / "captions.jsonl",
        {"captions": ["a dog", "ein Hund"]},
        {"captions": ["alone"]},
        {"captions": ["one", "two", "three"], "id": 7},
    )
    assert read_caption_groups(path) == [["a dog", "ein Hund"], ["one", "two", "three"]]


def test_photos_that_a_line_names_need_not_be_here(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.jsonl", {"image": "gone.jpg", "captions": ["a dog", "a cat"]})
    assert read_caption_groups(path) == [["a dog", "a cat"]]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", r"captions\.jsonl:1: not JSON"),
        ({"caption": "a"}, r"captions\.jsonl:1: no captions; expected"),
        ({"captions": "a dog"}, r"captions\.jsonl:1: captions must be a list"),
        ({"captions": ["a", " "]}, r"captions\.jsonl:1: captions are empty"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: object, said: str) -> None:
    with pytest.raises(CorpusError, match=said):
        read_caption_groups(write(tmp_path / "captions.jsonl", line))
