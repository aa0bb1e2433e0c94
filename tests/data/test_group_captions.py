"""Captions of the same photo are found in a list that goes over all photos again and again."""

import json
import random
import subprocess
import sys
from pathlib import Path

import group_captions
import pytest

from retrieval.spec.errors import CorpusError

PHOTOS = 150
PASSES = 4
COMMON = ["man", "woman", "dog", "street", "red", "blue", "standing", "sitting", "near", "large"]


def captions(seed: int, lost: float) -> tuple[list[str], dict[str, int]]:
    """Lines of all passes, some lost, and the photo that each describes."""
    draw = random.Random(seed)
    rare = [[f"word{draw.randrange(400)}" for _ in range(4)] for _ in range(PHOTOS)]
    lines, owner = [], {}
    for number in range(PASSES):
        for photo in range(PHOTOS):
            words = [*draw.sample(rare[photo], 2), *draw.sample(COMMON, 3), f"n{number}"]
            line = " ".join(draw.sample(words, len(words)))
            if draw.random() >= lost and line not in owner:
                lines.append(line)
                owner[line] = photo
    return lines, owner


@pytest.mark.parametrize("lost", [0.0, 0.04])
def test_nearly_all_captions_find_their_group(lost: float) -> None:
    lines, owner = captions(0, lost)
    groups = group_captions.group_captions(lines, passes=PASSES, drift=40)
    placed = [line for group in groups for line in group]
    assert len(placed) == len(set(placed)) > 0.85 * len(lines)
    together = sum(owner[line] == owner[group[0]] for group in groups for line in group[1:])
    assert together > 0.95 * (len(placed) - len(groups))


def test_too_few_lines_are_refused() -> None:
    with pytest.raises(CorpusError, match="3 lines are too few for 2 passes"):
        group_captions.group_captions(["a", "b", "c"], passes=2, drift=10)


def test_the_command_writes_a_group_for_each_line(tmp_path: Path) -> None:
    lines, _ = captions(1, 0.02)
    (tmp_path / "list.txt").write_text("\n".join(lines), "utf-8")
    script = Path(group_captions.__file__)
    command = [sys.executable, script, tmp_path / "list.txt", tmp_path / "groups.jsonl"]
    done = subprocess.run(
        [*command, "--passes", str(PASSES), "--drift", "40"], check=True, capture_output=True
    )
    groups = [json.loads(line) for line in (tmp_path / "groups.jsonl").open(encoding="utf-8")]
    assert f"{len(groups):,} groups" in done.stdout.decode()
    assert all(len(one["captions"]) > 1 for one in groups)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["groups.jsonl", "list.txt"]
