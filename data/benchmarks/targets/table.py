"""The Markdown table, made of the CSV alone."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from figures import read_csv
from targets.goals import Line, goals
from targets.models import BASELINE, DEFAULT
from targets.results import MEASURED

from retrieval.spec.files import write_text

NONE = "–"


def write_table(figures: Path) -> None:
    """Write ``figures`` with the ending ``.md``."""
    lines = read_csv(figures)
    parts = [_HEAD, *(f"- {goal}" for goal in goals(lines))]
    if figures.with_suffix(".svg").is_file():
        parts.append(f"\n![Milliseconds against megabytes]({figures.name}.svg)")
    for model in dict.fromkeys(line["model"] for line in lines):
        parts += _section(model, [line for line in lines if line["model"] == model])
    write_text(figures.with_suffix(".md"), "\n".join(parts) + "\n")


_HEAD = f"""# Towers by target and precision

Written by `make targets` from `targets.csv`; do not edit. The raw figures of every round, with
machine, date, commit and versions, are in `targets.json`.

- **MB** and its share: one tower's file, and how much that is of the same tower of {BASELINE} in
  fp32. {BASELINE} is open_clip's ViT-B-32 with random weights, exported the same way.
- **Cosine** to PyTorch in float32, worst and median: of image towers on real photos that are not
  square, squeezed as each model asks; of text towers on captions and on awkward sentences. None for
  Core ML, whose files only a Mac runs (`apps/ios/verify_on_mac`).
- **Recall@10**, change in points, sentence to photo and photo to sentence, beside the other tower
  in PyTorch: of the default model alone. All other towers have random weights, at 224 pixels, so
  that they have nothing to retrieve; their cosines tell what rounding does to such weights, and
  trained ones differ.
- **ms**: one photo from pixels, or one sentence from tokens, on one thread, of ONNX Runtime for
  `onnx` and LiteRT with XNNPACK for `litert`. Each file and {BASELINE} in ONNX Runtime run in
  processes of their own and take turns; a figure is the median of rounds, and **times faster** the
  median of the rounds' ratios. **Browser**: ONNX Runtime Web (WASM) on one thread in headless
  Chromium, median.
- **Recommended**: what `leanclip export --recommend` chooses of a format, the smallest pair that
  loses at most 0.5 points of recall@10; *of int8*: the smallest such pair of int8 files.

## Goals

For the default model's recommended int8 ONNX files:
"""

_COLUMNS = """\
| tower | format | precision | MB | of CLIP's | worst cosine | median cosine \
| recall@10 s → p / p → s | ms | times faster | browser ms | remarks |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"""


def _section(model: str, lines: Sequence[Line]) -> Iterator[str]:
    titles = {DEFAULT: "Default model", BASELINE: f"{BASELINE}, random weights"}
    yield f"\n## {titles.get(model, f'`{model}`')}\n"
    yield _COLUMNS
    for line in lines:
        yield f"| {' | '.join(_cells(line))} |"


def _cells(line: Line) -> list[str]:
    changes = [_number(line[f"{way}_r10_change"], sign=True) for way in ("t2i", "i2t")]
    share = line["bytes_share"]
    return [
        line["tower"],
        line["format"],
        line["precision"],
        _number(line["bytes"], unit=1e6),
        f"{100 * float(share):.1f} %" if share else NONE,
        _cosine(line["worst_cosine"]),
        _cosine(line["median_cosine"]),
        NONE if NONE in changes else " / ".join(changes),
        _number(line["ms"]),
        _number(line["times_faster"], digits=1),
        _number(line["browser_ms"]),
        _remarks(line),
    ]


def _number(text: str, *, unit: float = 1.0, digits: int = 2, sign: bool = False) -> str:
    if not text:
        return NONE
    # Not -0.00.
    value = round(float(text) / unit, digits) + 0.0
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def _cosine(text: str) -> str:
    # Cut off, so that what is below a target never looks like it.
    return f"{int(float(text) * 1e6) / 1e6:.6f}" if text else NONE


def _remarks(line: Line) -> str:
    marks = []
    if line["recommended"]:
        marks.append("**recommended**")
    if line["recommended_int8"]:
        marks.append("**recommended of int8**")
    if line["status"] != MEASURED:
        marks.append(f"{line['status']}:")
    marks += [line["reason"], line["browser_reason"] and f"browser: {line['browser_reason']}"]
    return " ".join(mark for mark in marks if mark).replace("|", "\\|")
