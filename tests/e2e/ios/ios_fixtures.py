"""What the iOS core's own tests expect, computed by leanclip's Python.

Run again when tokenizer, preprocessing or the probe's figures changed on purpose:

    python tests/e2e/ios/ios_fixtures.py
"""

import base64
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.probe.figures import SustainedRun, Timing
from export.verify.golden_inputs import SENTENCES
from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.bundle import read_bundle
from retrieval.spec.files import sha256_path
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.decode import Box
from retrieval.vision.preprocess import preprocess

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "apps/ios/core/Tests/LeanclipCoreTests/Fixtures"
BUNDLE = ROOT / "data/default"

AWKWARD = [
    *("", " ", "Two dogs", "don't", "I'LL they've", "rock'n'roll", "o'\u017f", "2024", "</w>"),
    *("&amp;", "&amp;lt;", "&amp;amp;gt;", "&EACUTE;", "&eacute", "&#39;", "&#xD800;", "&#10;"),
    *("&nbsp;x", "a & b", "<b>bold</b> &eacute;", "&#0;", "&notit;", "&#x1F436", "&#150;"),
    *("&#1114112;", "&#xFFFE;", "&#12;", "&#x;", "&;", "&acE;", "a\r\nb\rc", "a\u2028b\u0085c"),
    *("a\u00a0b", "a\x0bb\x0cc\x1cd", "a\x00b\x07", "\x1b[31mred", "\x7f\ufeff\u200b\ufffe"),
    *("caf\u00e9 cafe\u0301", "\u201cquoted\u201d", "\ufb01sh \uff26\uff35", "\u3000wide\u3000"),
    *("\u0130stanbul", "\u039f\u0394\u039f\u03a3", "\u03a3", "A\u03a3'", "\u212a'\u212a"),
    *("\U0001f436\U0001f468\u200d\U0001f469", "\U0001f1e9\U0001f1ea", "\u2603\ufe0f", "\u72ac"),
    *("\u0441\u043e\u0431\u0430\u043a\u0430", "\u0643\u0644\u0628", "\u0915\u0941", "\u0660\u00bd"),
    *("\u00df \u01c4", "_ ... !?", "<start_of_text>a<end_of_text>", "a" * 90, "dog " * 60),
    *("schÃ¶n", "voilÃ le travail", "â€œquotedâ€\x9d", "Ã la mode", "lâ€™Ã©tÃ©", "â€ť"),
    *("Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "ð\x9f\x90¶", "ðŸ¶ dog", "\xed\xa0\xbd\xed\xb0\xb6", "Î‘Î¸Î®Î½Î±"),
    *("â€\ufffd", "naÃ¯ve \x85 ok", "вЂњРїСЂРёРІРµС‚вЂќ", "√©t√©", "├⌐t├⌐", "Ãƒ\xa0 bientÃ´t"),
    *("\x93hi\x94", "Â£20", "Å¾luÅ¥ouÄkÃ½", "100 â‚¬"),
]
"""What tells a careless tokenizer from ours; ``tests/e2e/android`` has why."""

_SIZE = 16
_SHAPES = [(97, 64), (41, 50), (16, 17), (7, 30), (300, 11), (1, 1)]
_COUNT = 60


def main() -> None:
    """Write every fixture."""
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for name, make in MAKERS.items():
        (FIXTURES / name).write_text(text_of(make()), "utf-8")


def text_of(value: Any) -> str:
    """A fixture as it is stored."""
    return json.dumps(value, ensure_ascii=True, indent=1) + "\n"


def tokens() -> list[dict[str, Any]]:
    """Sentences and their ids with the default bundle's vocabulary."""
    tokenizer = Tokenizer.from_spec(read_bundle(BUNDLE).text, BUNDLE)
    return [
        # Without the padding, which is the spec's.
        {"text": text, "ids": list(np.trim_zeros(tokenizer(text), "b").tolist())}
        for text in [*SENTENCES, *AWKWARD, *(f"a {text} dog{text}" for text in AWKWARD)]
    ]


def pixels() -> list[dict[str, Any]]:
    """Pictures by `noise`, turned and resized in every way."""
    cases = [
        (mode, interpolation, shape, 1)
        for mode in ("shortest", "squash", "longest")
        for interpolation in ("bilinear", "bicubic", "lanczos")
        for shape in _SHAPES
    ]
    cases += [
        (mode, "bicubic", (61, 40), turn) for mode in ("shortest", "longest") for turn in range(9)
    ]
    with across_first():
        return [pixel_case(*case) for case in cases]


def pixel_case(
    mode: Any, interpolation: Any, shape: tuple[int, int], orientation: int
) -> dict[str, Any]:
    """One picture, and what our preprocessing makes of it."""
    spec = Preprocessing(
        size=_SIZE, resize_mode=mode, interpolation=interpolation, fill=(9, 99, 199)
    )
    turn = _TURNS.get(orientation)
    image = Image.fromarray(noise(*shape))
    upright = image if turn is None else image.transpose(turn)
    square = preprocess(upright, spec).transpose(1, 2, 0)
    return {
        "width": shape[0],
        "height": shape[1],
        "mode": mode,
        "interpolation": interpolation,
        "orientation": orientation,
        "rgb": base64.b64encode(square.tobytes()).decode(),
    }


def noise(width: int, height: int) -> NDArray[np.uint8]:
    """Pixels that Swift computes alike: the high bits of a linear congruential generator."""
    state, values = width * 1000 + height, []
    for _ in range(width * height * 3):
        state = (state * 1664525 + 1013904223) % 2**32
        values.append(state >> 24)
    return np.array(values, np.uint8).reshape(height, width, 3)


@contextmanager
def across_first() -> Iterator[None]:
    """Pillow 13 resizes some tall pictures down first, older ones none; each pass rounds."""
    resize = Image.Image.resize

    def in_two_passes(
        self: Image.Image, size: tuple[int, int], resample: Any, box: Box
    ) -> Image.Image:
        left, top, right, bottom = box
        narrow = resize(self, (size[0], self.height), resample, (left, 0, right, self.height))
        return resize(narrow, size, resample, (0, top, size[0], bottom))

    Image.Image.resize = in_two_passes  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Image.Image.resize = resize  # type: ignore[method-assign]


def halves() -> list[list[int]]:
    """Bits of float32 numbers, and of the float16 that each is rounded to."""
    random = np.random.default_rng(16)
    sizes = np.exp2(random.uniform(-27, 17, 200)) * random.choice([-1, 1], 200)
    edges = [0.0, -0.0, 65504.0, 65519.99, 65520.0, 2.0**-24, 2.0**-25, 3 * 2.0**-25, np.inf]
    numbers = np.array([*sizes, *edges], np.float32)
    with np.errstate(over="ignore"):
        codes = numbers.astype(np.float16).view(np.uint16)
    return [
        [int(bits), int(code)] for bits, code in zip(numbers.view(np.uint32), codes, strict=True)
    ]


def figures() -> dict[str, Any]:
    """Milliseconds of runs, and what `Timing` and `SustainedRun` make of them."""
    random = np.random.default_rng(60)
    milliseconds = (2 + random.exponential(1, _COUNT)).tolist()
    calls = [(index * 0.7, value) for index, value in enumerate(milliseconds)]
    timing = Timing.of(
        milliseconds,
        warm_ups=10,
        cold_load_ms=31.25,
        warm_load_ms=12.5,
        first_inference_ms=4.75,
    )
    return {
        "milliseconds": milliseconds,
        "timing": timing.model_dump(mode="json"),
        "starts": [start for start, _ in calls],
        "sustained": SustainedRun.of(calls).model_dump(mode="json"),
    }


def folder_hash() -> dict[str, Any]:
    """Files of a folder whose names tell orders of sorting apart, and its hash."""
    files = {
        name: f"content of {index}"
        for index, name in enumerate(
            [
                "Manifest.json",
                "Data/a.b/model",
                "Data/a/weights",
                'Data/quote"d',
                "Z",
                "a",
                "\u72ac",
            ]
        )
    }
    with tempfile.TemporaryDirectory() as name:
        for path, content in files.items():
            target = Path(name) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, "utf-8")
        return {"files": files, "sha256": sha256_path(Path(name))}


MAKERS: dict[str, Callable[[], Any]] = {
    "tokens.json": tokens,
    "pixels.json": pixels,
    "halves.json": halves,
    "figures.json": figures,
    "folder.json": folder_hash,
}
"""What each file is made by."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


if __name__ == "__main__":
    main()
