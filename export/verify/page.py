"""``report.html``: what a verification found, as one page that asks nothing of the network."""

from collections.abc import Iterable, Sequence
from html import escape

from export.verify import cells
from export.verify.figures import Verification
from export.verify.plot import draw
from export.verify.resizing import ResizingCost
from retrieval.spec.bundle import Bundle
from retrieval.spec.ways import WAYS

_STYLE = """
:root { color-scheme: light dark; --line: #8888; --bad: #b3261e; --good: #1b6e3c; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #7bd99a; } }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .5rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .7rem; text-align: left; }
td.number, th.number { text-align: right; white-space: nowrap; }
.bad { color: var(--bad); font-weight: 600; } .good { color: var(--good); }
svg { max-width: 100%; height: auto; } svg text { fill: currentColor; font-size: 13px; }
"""

_FILE_HEADINGS = (
    "File", "Precision", "MB", "Worst cosine", "Median cosine", "Photos by sentence, points",
    "Sentences by photo, points", "ms", "Peak MB", "Added MB", "Result",
)  # fmt: skip
_PAIR_HEADINGS = (
    "Format", "Precision", "A host opens it", "MB", "Photos by sentence, recall@1 / 5 / 10, %",
    "Points at 10", "Sentences by photo, recall@1 / 5 / 10, %", "Points at 10",
    "Same top 10, %", "Result",
)  # fmt: skip
_RESIZING_HEADINGS = (
    "Filter", "Stands for", "Worst cosine", "Median cosine", "Mean recall, %", "Points lost",
)  # fmt: skip
_WORDS = {"File", "Precision", "Result", "Format", "A host opens it", "Filter", "Stands for"}


def render(
    bundle: Bundle, verification: Verification, resizing: Sequence[ResizingCost] | None = None
) -> str:
    """The page.

    Args:
        bundle: What was verified.
        verification: What was found.
        resizing: What the filters of other platforms cost, if it was measured.
    """
    title = f"Verification of {escape(bundle.name)}"
    body = "\n".join(
        [
            f"<h1>{title}</h1>",
            _verdict(verification),
            _setting(verification),
            draw(verification.pairs),
            _table("Towers of one format together", _PAIR_HEADINGS, _pair_rows(verification)),
            _table("Every file", _FILE_HEADINGS, _file_rows(verification)),
            _resizing(resizing) if resizing else "",
        ]
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _verdict(verification: Verification) -> str:
    notes = "".join(f"<p>{escape(note)}</p>" for note in verification.notes)
    if not verification.failures:
        return f'<p class="good">Every file that ran here passes.</p>{notes}'
    items = "".join(f"<li>{escape(failure)}</li>" for failure in verification.failures)
    starts = "".join(
        f"<li>{escape(file.file)}: {escape(file.error_starts)}</li>"
        for file in verification.files
        if file.error_starts
    )
    where = f"<h2>Where the error starts</h2><ul>{starts}</ul>" if starts else ""
    return f'<p class="bad">The bundle falls short.</p><ul>{items}</ul>{where}{notes}'


def _setting(verification: Verification) -> str:
    left_out = len(verification.unreadable)
    missing = f", {left_out} photos left out that cannot be decoded" if left_out else ""
    return (
        f"<p>Compared with {escape(verification.truth)}, on {verification.photos:,} photos with "
        f"{verification.captions:,} captions{missing} and on the bundle's golden inputs. A host "
        f"may lose {verification.tolerance:g} points of recall@10 with the files that it opens. "
        "Milliseconds are the median of one row on one processor of "
        f"{escape(verification.machine)}; peak memory is that of a process that runs this file "
        "alone, and what it added by opening it.</p>"
    )


def _pair_rows(verification: Verification) -> Iterable[tuple[Sequence[str], bool]]:
    for pair in verification.pairs:
        loss = pair.loss
        row = [pair.format, cells.pair_name(pair), "yes" if pair.opened else "no"]
        row.append(cells.megabytes(pair.bytes))
        for way in WAYS:
            row += [cells.recall(loss, way), cells.difference(loss, way)]
        yield [*row, cells.overlap(loss), cells.pair_status(pair)], bool(pair.failures)


def _file_rows(verification: Verification) -> Iterable[tuple[Sequence[str], bool]]:
    for file in verification.files:
        row = [
            file.file,
            f"{file.precision}, recommended" if file.recommended else file.precision,
            cells.megabytes(file.bytes),
            cells.cosine(file.worst_cosine),
            cells.cosine(file.median_cosine),
            *(cells.difference(file.loss, way) for way in WAYS),
            cells.milliseconds(file.ms),
            cells.megabytes(file.peak_memory),
            cells.megabytes(file.added_memory),
            cells.status(file),
        ]
        yield row, bool(file.failures)


def _resizing(costs: Sequence[ResizingCost]) -> str:
    rows = [
        (
            [
                cost.resizing,
                cost.stands_for,
                cells.cosine(cost.worst_cosine),
                cells.cosine(cost.median_cosine),
                f"{100 * cost.mean_recall:.2f}",
                f"{cost.cost:+.2f}",
            ],
            False,
        )
        for cost in costs
    ]
    return _table("Photos shrunk as other platforms shrink them", _RESIZING_HEADINGS, rows)


def _table(
    caption: str, headings: Sequence[str], rows: Iterable[tuple[Sequence[str], bool]]
) -> str:
    """Rows, each with whether it is bad news; the first cell of a row is its heading."""
    kinds = ["" if heading in _WORDS else ' class="number"' for heading in headings]
    head = "".join(
        f'<th scope="col"{kind}>{escape(heading)}</th>'
        for kind, heading in zip(kinds, headings, strict=True)
    )
    lines = []
    for row, bad in rows:
        first, *rest, last = [escape(cell) for cell in row]
        middle = "".join(
            f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds[1:-1], rest, strict=True)
        )
        kind = ' class="bad"' if bad else kinds[-1]
        lines.append(f'<tr><th scope="row">{first}</th>{middle}<td{kind}>{last}</td></tr>')
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )
