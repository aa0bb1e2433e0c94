"""How ``leanclip probe`` prints probes and ratios."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from export.probe.compare import FIGURES, Ratio
from export.probe.result import FileResult, ProbeResult

_NONE = "-"
_RATIOS = {"p50_ms": "p50", "p90_ms": "p90", "cold_load_ms": "load", "peak_memory_bytes": "memory"}


def show_probe(probe: ProbeResult) -> None:
    """Print a table for people, and why files have no latency."""
    device, system = probe.device, probe.system
    where = [device.maker, device.model, "with", system.name, system.version, system.browser]
    runtimes = dict.fromkeys(f"{x.runtime.name} {x.runtime.version}" for x in probe.files)
    table = Table(
        title=f"{probe.bundle.name} on {' '.join(word for word in where if word)}",
        caption=f"milliseconds, one photo or sentence a call; {', '.join(runtimes)}",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    for head in ("file", "by"):
        table.add_column(head, no_wrap=True)
    for head in ("load", "first", "p50", "p90", "p99", "peak MB", "cosine"):
        table.add_column(head, justify="right", no_wrap=True)
    for file in probe.files:
        table.add_row(*_cells(file))
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(table)
    for file in probe.files:
        if file.reason is not None:
            console.print(f"{_name(file)}: {file.reason}")
        if file.sustained is not None:
            console.print(
                f"{_name(file)}: {file.sustained.slow_down:.2f} times as long after "
                f"{file.sustained.seconds:.0f} seconds without a pause"
            )


def show_ratios(ratios: Sequence[Ratio], first: Path, second: Path) -> None:
    """Print both probes' figures and their ratio, row by row."""
    table = Table(
        title=f"{second} / {first}: above 1 is slower or larger",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("file", no_wrap=True)
    for head in ("p50 ms of A", "of B", *_RATIOS.values()):
        table.add_column(head, justify="right", no_wrap=True)
    for ratio in ratios:
        p50s = (ratio.first["p50_ms"], ratio.second["p50_ms"])
        table.add_row(
            " ".join(ratio.key),
            *(_written(value, ".2f") for value in p50s),
            *(_written(ratio.ratio(name), ".2f") for name in _RATIOS),
        )
    Console(soft_wrap=True, highlight=False, markup=False).print(table)


def ratios_as_json(ratios: Sequence[Ratio]) -> list[dict[str, object]]:
    """The same for programs."""
    return [
        {
            **dict(zip(("tower", "format", "precision"), ratio.key, strict=True)),
            "first": ratio.first,
            "second": ratio.second,
            "ratio": {name: ratio.ratio(name) for name in FIGURES},
        }
        for ratio in ratios
    ]


def _cells(file: FileResult) -> list[str]:
    timing = file.timing
    names = ("cold_load_ms", "first_inference_ms", "p50_ms", "p90_ms", "p99_ms")
    times = [getattr(timing, name) if timing else None for name in names]
    peak = None if file.peak_memory_bytes is None else file.peak_memory_bytes / 1e6
    cosine = file.golden.worst_cosine if file.golden else None
    return [
        _name(file),
        file.delegate,
        *(_written(value, ".2f") for value in times),
        _written(peak, ".1f"),
        _written(cosine, ".5f"),
    ]


def _name(file: FileResult) -> str:
    return " ".join(file.key)


def _written(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)
