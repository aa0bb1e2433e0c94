"""How ``leanclip probe`` prints probes and ratios."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from export.probe.compare import FIGURES, Ratio
from export.probe.result import FileResult, ProbeResult

_NONE = "-"
_HEADS = {
    "p50_ms": "p50 ms",
    "p90_ms": "p90 ms",
    "cold_load_ms": "load ms",
    "peak_memory_bytes": "peak MB",
}


def show_probe(probe: ProbeResult) -> None:
    """Print a table for people, and why files have no latency."""
    device, system = probe.device, probe.system
    maker = f"{device.maker} " if device.maker else ""
    table = Table(
        title=f"{probe.bundle.name} on {maker}{device.model}, {system.name} {system.version}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for head in ("file", "runtime"):
        table.add_column(head, overflow="fold")
    for head in ("load ms", "first", "p50", "p90", "p99", "peak MB", "cosine"):
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
        title=f"{second} compared with {first}; above 1 is slower or larger",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("file", overflow="fold")
    for name in FIGURES:
        table.add_column(_HEADS[name], justify="right", no_wrap=True)
    for ratio in ratios:
        table.add_row(" ".join(ratio.key), *(_ratio(ratio, name) for name in FIGURES))
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
    runtime = f"{file.runtime.name} {file.runtime.version}, {file.delegate}"
    return [
        _name(file),
        runtime,
        *(_written(value, ".2f") for value in times),
        _written(peak, ".1f"),
        _written(cosine, ".5f"),
    ]


def _name(file: FileResult) -> str:
    return " ".join(file.key)


def _ratio(ratio: Ratio, name: str) -> str:
    value = ratio.ratio(name)
    if value is None:
        return _NONE
    scale = 1e-6 if name == "peak_memory_bytes" else 1
    first, second = ((figures[name] or 0) * scale for figures in (ratio.first, ratio.second))
    return f"{first:.2f} > {second:.2f} x{value:.2f}"


def _written(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)
