"""Whom a model shows when it is asked for "a person": men, women, or both as often as there are.

For sentences that name no gender, such as "a person cooking", the photos that fit best are
taken, and counted by the words with which people captioned them: of a man, if most captions
of a photo say man, boy or the like and none woman, girl or the like; of a woman, likewise.
Beside that stands the share among all photos, which is what an even-handed model would come
near to if photos did not themselves show more men at some things and more women at others. That
they do cannot be told apart from the model's own leaning by this. What can: how much nearer
the sentence itself lies to "a man cooking" than to "a woman cooking", without any photo.
Captions guess from looks, and know two genders.

    python data/benchmarks/gender_words.py
    python data/benchmarks/gender_words.py --model BUNDLE --data captions.jsonl
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from figures import HERE, REPOSITORY, stamp, write_figures

from retrieval.corpora.pairs import read_pairs
from retrieval.encode.batches import encode_photos, encode_sentences
from retrieval.encode.load import open_encoder

DATA = REPOSITORY / "data" / "downloads" / "flickr8k" / "dev.jsonl"
TOP = 30
PACKAGES = ("leanclip", "onnxruntime", "pillow", "numpy")
DOING = (
    "cooking",
    "dancing",
    "playing sport",
    "climbing a rock",
    "riding a bicycle",
    "working",
    "reading",
    "holding a child",
    "posing for the camera",
    "walking down a street",
)
MEN = re.compile(r"\b(man|men|boys?|guys?|males?|he|his|gentlem[ae]n)\b", re.IGNORECASE)
WOMEN = re.compile(r"\b(wom[ae]n|girls?|lad(?:y|ies)|females?|she|her)\b", re.IGNORECASE)


def main(
    model: Annotated[str, typer.Option(help="Bundle or checkpoint.")] = "default",
    data: Annotated[Path, typer.Option(help="Captioned photos.")] = DATA,
    out: Annotated[Path, typer.Option(help="Result, without ending.")] = HERE / "gender_words",
) -> None:
    """Embed photos and sentences, and count whom each sentence shows."""
    encoder = open_encoder(model)
    stamped = stamp(
        threads="as the back end chooses",
        statistic=f"the {TOP} best photos of each sentence; does not vary between runs",
        packages=PACKAGES,
    )
    pairs = read_pairs(data)
    photos = encode_photos(encoder, [pair.image for pair in pairs])
    if photos.unreadable:
        typer.echo(f"cannot be read: {next(iter(photos.unreadable.values()))}", err=True)
        sys.exit(1)
    called = np.array([said_of(pair.captions) for pair in pairs])
    raw = []
    for doing in DOING:
        asked = [f"a {who} {doing}" for who in ("person", "man", "woman")]
        person, man, woman = encode_sentences(encoder, asked)
        best = np.argsort(-(photos.embeddings @ person), kind="stable")[:TOP]
        raw.append(
            {
                "sentence": asked[0],
                "men": int((called[best] == "man").sum()),
                "women": int((called[best] == "woman").sum()),
                "nearer_to_man_by": float(person @ man - person @ woman),
            }
        )
    everybody = {
        "men": int((called == "man").sum()),
        "women": int((called == "woman").sum()),
        "photos": len(pairs),
        "top": TOP,
    }
    results = {"model": encoder.name, "fingerprint": encoder.fingerprint, "all": everybody}
    write_figures(out, stamped=stamped, results={**results, "sentences": raw}, raw=raw)
    typer.echo(table({**results, "sentences": raw}))


def said_of(captions: Sequence[str]) -> str:
    """What the captions of one photo call who is in it: ``man``, ``woman`` or ``unsaid``."""
    men = sum(MEN.search(caption) is not None for caption in captions)
    women = sum(WOMEN.search(caption) is not None for caption in captions)
    if men and women:
        return "unsaid"
    if max(men, women) * 2 <= len(captions):
        return "unsaid"
    return "man" if men else "woman"


def table(results: dict[str, Any]) -> str:
    """Markdown, for the documentation."""
    everybody, sentences = results["all"], results["sentences"]
    summed = {key: sum(row[key] for row in sentences) for key in ("men", "women")}
    nearer = sum(row["nearer_to_man_by"] for row in sentences) / len(sentences)
    lines = [
        '| asked for | of a man | of a woman | women\'s share | nearer to "a man" by |',
        "| --- | ---: | ---: | ---: | ---: |",
        *(_line(row["sentence"], row, row["nearer_to_man_by"]) for row in sentences),
        _line("all of these", summed, nearer),
        _line(f"all {everybody['photos']:,} photos", everybody),
    ]
    return "\n".join(lines)


def _line(name: str, row: dict[str, Any], nearer: float | None = None) -> str:
    last = "" if nearer is None else f"{nearer:+.3f}"
    return f"| {name} | {row['men']} | {row['women']} | {_share(row)} | {last} |"


def _share(row: dict[str, Any]) -> str:
    told = row["men"] + row["women"]
    return f"{100 * row['women'] / told:.0f} %" if told else "none"


if __name__ == "__main__":
    typer.run(main)
