"""What the default model's recommended int8 files must reach against CLIP's ViT-B/32."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from targets.models import BASELINE, DEFAULT

LARGEST_SHARE = 0.05
"""Of the baseline's bytes, both towers in fp32."""
LEAST_TIMES_FASTER = 10.0
"""In ONNX Runtime on one thread."""

Line = Mapping[str, str]


@dataclass(frozen=True)
class Goal:
    """One promise.

    Attributes:
        promise: What is wanted.
        met: Whether it is kept; None where figures are missing.
        figures: What was measured, or what is missing.
    """

    promise: str
    met: bool | None
    figures: str

    def __str__(self) -> str:
        verdict = {True: "met", False: "not met", None: "not known"}[self.met]
        return f"{self.promise}: {verdict} ({self.figures})"


def goals(lines: Sequence[Line]) -> list[Goal]:
    """Each goal, from lines of the CSV."""
    chosen = {
        line["tower"]: line
        for line in lines
        if line["model"] == DEFAULT and line["format"] == "onnx" and line["recommended_int8"]
    }
    reference = {line["tower"]: line for line in lines if line["model"] == BASELINE}
    return [_bytes(chosen, reference), *_speeds(chosen)]


def _bytes(chosen: Mapping[str, Line], reference: Mapping[str, Line]) -> Goal:
    promise = f"at most {LARGEST_SHARE:.0%} of {BASELINE}'s bytes"
    if len(chosen) < 2:
        return Goal(promise, None, _UNCHOSEN)
    if len(reference) < 2 or not all(line["bytes"] for line in reference.values()):
        return Goal(promise, None, f"{BASELINE} is not measured")
    mine, theirs = (
        sum(int(line["bytes"]) for line in side.values()) for side in (chosen, reference)
    )
    share = mine / theirs
    names = ", ".join(f"{line['tower']} {line['precision']}" for line in chosen.values())
    told = f"{mine / 1e6:.2f} MB of {theirs / 1e6:.0f} MB, {share:.2%}; {names}"
    return Goal(promise, share <= LARGEST_SHARE, told)


def _speeds(chosen: Mapping[str, Line]) -> Iterator[Goal]:
    for tower, what in (("image", "photos"), ("text", "sentences")):
        promise = f"at least {LEAST_TIMES_FASTER:g} times as fast for {what}"
        line = chosen.get(tower)
        if line is None or not line["times_faster"]:
            yield Goal(promise, None, _UNCHOSEN if line is None else "it was not timed")
            continue
        faster = float(line["times_faster"])
        times = f"{float(line['ms']):.2f} ms against {float(line['baseline_ms']):.1f} ms"
        told = f"{faster:.1f} times, {times}; {line['precision']}"
        yield Goal(promise, faster >= LEAST_TIMES_FASTER, told)


_UNCHOSEN = "no int8 ONNX files of the default model are recommended"
