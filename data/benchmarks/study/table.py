"""The study as a Markdown table, and in words what did not help."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from figures import read_csv
from study.results import SHORT

from retrieval.spec.files import write_text

NOISE = 0.4
"""Standard deviation that a row trained once is taken to have where no row of its group was
trained several times, in points of mean recall."""


@dataclass(frozen=True)
class Summary:
    """All seeds of one row.

    Attributes:
        group: As in the CSV.
        row: As in the CSV.
        lines: Of the CSV, one for each seed.
    """

    group: str
    row: str
    lines: tuple[Mapping[str, str], ...]

    def values(self, column: str) -> list[float]:
        """Of all seeds that have one."""
        return [float(line[column]) for line in self.lines if line[column]]

    def mean(self, column: str) -> float | None:
        """Over seeds."""
        values = self.values(column)
        return mean(values) if values else None

    @property
    def recall(self) -> float:
        """Mean of recall@1, 5 and 10 both ways, averaged over seeds."""
        return mean(self.values("mean_recall"))

    @property
    def recall_10(self) -> float:
        """Mean of recall@10 both ways, averaged over seeds."""
        return mean([*self.values("t2i_r10"), *self.values("i2t_r10")])

    @property
    def spread(self) -> float | None:
        """Standard deviation of mean recall over seeds; None of one seed."""
        values = self.values("mean_recall")
        return stdev(values) if len(values) > 1 else None

    @property
    def baseline(self) -> str:
        """Row of the same group; empty when it is measured against nothing."""
        return self.lines[0]["baseline"]


def summaries(lines: Sequence[Mapping[str, str]]) -> list[Summary]:
    """One for each row of the CSV, in its order."""
    seeds: dict[tuple[str, str], list[Mapping[str, str]]] = defaultdict(list)
    for line in lines:
        seeds[line["group"], line["row"]].append(line)
    return [Summary(group, row, tuple(found)) for (group, row), found in seeds.items()]


@dataclass(frozen=True)
class Difference:
    """What a row gains over its baseline, and how much could be chance.

    Attributes:
        gain: Points of mean recall, over the seeds that both were trained with.
        chance: Twice the standard error of ``gain``.
        seeds: How many seeds ``gain`` averages over.
    """

    gain: float
    chance: float
    seeds: int

    @property
    def verdict(self) -> str:
        """In words: a gain, a loss, or neither."""
        if self.gain > self.chance:
            return "helps"
        return "hurts" if self.gain < -self.chance else "no gain"


def difference(row: Summary, baseline: Summary, noise: float) -> Difference:
    """Seed by seed where both were trained with the same seeds.

    Args:
        row: What is judged.
        baseline: Its baseline.
        noise: Standard deviation over seeds of a typical row.
    """
    mine = {line["seed"]: float(line["mean_recall"]) for line in row.lines}
    others = {line["seed"]: float(line["mean_recall"]) for line in baseline.lines}
    shared = [mine[seed] - others[seed] for seed in mine if seed in others]
    gains = shared or [row.recall - baseline.recall]
    # Three seeds can agree by luck, so their spread counts as no less than what is typical.
    spread = max(stdev(gains) if len(gains) > 1 else 0.0, noise * 2**0.5)
    return Difference(mean(gains), 2 * spread / len(gains) ** 0.5, len(gains))


def noise_of(rows: Sequence[Summary], group: str) -> float:
    """Root mean square of the spreads in a group, or else in the study, or else `NOISE`."""
    for some in ([one for one in rows if one.group == group], rows):
        spreads = [one.spread for one in some if one.spread is not None]
        if spreads:
            return float(mean(spread**2 for spread in spreads) ** 0.5)
    return NOISE


def write_table(figures: Path) -> None:
    """Write ``figures`` with the ending ``.md`` from the CSV beside it."""
    rows = summaries(read_csv(figures))
    groups = list(dict.fromkeys(row.group for row in rows))
    parts = [_HEAD]
    parts += [part for group in groups for part in _group(group, rows)]
    write_text(figures.with_suffix(".md"), "\n".join(parts) + "\n")


_HEAD = """# Study

Written by `make study` from `study.csv`; do not edit. Recall is on the dev split of Flickr8k
(1,000 photos, 5,000 captions), in per cent, photo by sentence and sentence by photo, averaged
over seeds where there are several; ± is their standard deviation. The dev split also chose each
run's best epoch, which flatters all rows alike. MB are of both ONNX towers in fp16 (quantised
rows: as trained); MB in int8, dense or sparse, say only what that would take, since recall was
not measured on it. Milliseconds are ONNX Runtime's on one thread, from pixels and from tokens.
Every student is small and briefly trained, so that differences, not levels, are what counts.
**Bold** is the best of a group.

"Against" is the difference of mean recall to the row's baseline, over the seeds that both have.
It is called a gain or a loss only when it exceeds twice its standard error, for which the
spread over seeds that is typical of the group counts as the least.
"""


def _group(group: str, rows: Sequence[Summary]) -> Iterator[str]:
    members = {row.row: row for row in rows if row.group == group}
    noise = noise_of(rows, group)
    best = max(members.values(), key=lambda row: row.recall)
    yield f"\n## {group[:1].upper()}{group[1:]}\n"
    yield _COLUMNS
    for row in members.values():
        found = _difference(row, members, noise)
        cells = _cells(row, found)
        shown = [f"**{cell}**" if row is best and cell else cell for cell in cells]
        yield f"| {' | '.join(shown)} |"
    yield ""
    yield from _in_words(members, noise)


_COLUMNS = """\
| row | seeds | sentence → photo R@1 / 5 / 10 | photo → sentence R@1 / 5 / 10 | mean | against \
| M parameters | MB | MB int8 | MB sparse int8 | ms photo | ms sentence |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


def _cells(row: Summary, found: Difference | None) -> list[str]:
    spread = "" if row.spread is None else f" ± {row.spread:.1f}"
    recalls = [
        " / ".join(f"{mean(row.values(f'{way}_r{k}')):.1f}" for k in (1, 5, 10)) for way in SHORT
    ]
    return [
        row.row,
        str(len(row.lines)),
        *recalls,
        f"{row.recall:.1f}{spread}",
        "" if found is None else f"{found.gain:+.1f} ({found.verdict})",
        _number(row.mean("parameters"), 1e6, 2),
        *(_number(row.mean(name), 1e6, 2) for name in ("bytes", "bytes_int8", "bytes_sparse")),
        _number(row.mean("ms_photo"), 1, 2),
        _number(row.mean("ms_sentence"), 1, 3),
    ]


def _number(value: float | None, unit: float, digits: int) -> str:
    return "" if value is None else f"{value / unit:.{digits}f}"


def _difference(row: Summary, members: Mapping[str, Summary], noise: float) -> Difference | None:
    baseline = members.get(row.baseline)
    return None if baseline is None else difference(row, baseline, noise)


def _in_words(members: Mapping[str, Summary], noise: float) -> Iterator[str]:
    """A line for each row that is no better than its baseline."""
    for row in members.values():
        found = _difference(row, members, noise)
        if found is None or found.verdict == "helps":
            continue
        times = "one seed" if found.seeds == 1 else f"{found.seeds} seeds"
        what = "is worse than" if found.verdict == "hurts" else "is no gain over"
        yield (
            f"- *{row.row}* {what} *{row.baseline}*: {found.gain:+.2f} points ({times}); "
            f"up to {found.chance:.2f} may be chance."
        )
