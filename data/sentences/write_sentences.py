"""Write ``everyday.txt`` and ``scenes.txt`` anew; the same seed gives the same sentences.

python data/sentences/write_sentences.py
"""

import argparse
import itertools
import random
import re
from pathlib import Path

from retrieval.compress.scenes import captions, draw_scenes
from retrieval.spec.files import replacing

HERE = Path(__file__).resolve().parent
EVERYDAY = 5000
SCENES = 2000
SEED = 0
SCENE_SEED = 15
"""Scene sets for training and evaluation use small seeds; see `write_scenes`."""

Grammar = dict[str, list[str]]

_SLOT = re.compile(r"<([^>]+)>")
_WRONG_ARTICLE = re.compile(r"\ba (?=[aeio]|u(?!ni))")


def read_grammar(path: Path) -> Grammar:
    """Alternatives under each ``[name]``; lines that start with ``#`` are comments."""
    grammar: Grammar = {}
    alternatives: list[str] = []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("["):
            alternatives = grammar.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            alternatives.append(line)
    return grammar


def expand(grammar: Grammar, text: str, rng: random.Random) -> str:
    """``text`` with every ``<name>`` replaced, also inside what replaces it."""
    return _SLOT.sub(lambda slot: expand(grammar, rng.choice(grammar[slot[1]]), rng), text)


def everyday_sentences(grammar: Grammar, count: int, seed: int) -> list[str]:
    """``count`` distinct sentences, shuffled; each pattern has about as many as any other."""
    rng = random.Random(f"leanclip everyday {seed}")
    found: dict[str, None] = {}
    for pattern in itertools.cycle(grammar["sentence"]):
        words = _WRONG_ARTICLE.sub("an ", expand(grammar, pattern, rng))
        found[words[0].upper() + words[1:] + "."] = None
        if len(found) == count:
            break
    sentences = list(found)
    rng.shuffle(sentences)
    return sentences


def scene_sentences(count: int, seed: int) -> list[str]:
    """``count`` distinct captions of scenes that are not drawn."""
    rng = random.Random(f"leanclip scene sentences {seed}")
    found: dict[str, None] = {}
    for scene in draw_scenes(count, seed):
        found[captions(scene, rng, 1)[0]] = None
    return list(found)


def write(folder: Path) -> None:
    """Write both files to ``folder``."""
    everyday = everyday_sentences(read_grammar(HERE / "everyday.grammar"), EVERYDAY, SEED)
    for name, sentences in (
        ("everyday.txt", everyday),
        ("scenes.txt", scene_sentences(SCENES, SCENE_SEED)),
    ):
        with replacing(folder / name) as temporary:
            temporary.write_text("\n".join(sentences) + "\n", "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=HERE, help="where to write")
    write(parser.parse_args().folder)
