"""``leanclip probe``: how long a bundle's files take, on this machine or on a device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from retrieval.cli.app import EXIT_FAILED
from retrieval.cli.options import JsonOption
from retrieval.cli.packing import listed
from retrieval.spec.errors import ProbeError

if TYPE_CHECKING:
    from export.probe.result import ProbeResult


def probe(
    bundle: Annotated[
        str | None, typer.Argument(metavar="NAME|BUNDLE|default", help="What to time.")
    ] = None,
    device: Annotated[
        Literal["host", "android", "ios", "browser"], typer.Option(help="Where.")
    ] = "host",
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="Of onnx, litert, coreml and torch, separated by commas.  [default: all that "
            "the bundle has and the device runs]",
        ),
    ] = "",
    precision: Annotated[
        str, typer.Option(help="Such as int8,fp32.  [default: all that the bundle has]")
    ] = "",
    checkpoint: Annotated[
        Path | None, typer.Option(help="The same model, to time PyTorch beside the files.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of one file.")] = 1,
    sustained: Annotated[
        bool, typer.Option("--sustained", help="Also three minutes without a pause, each file.")
    ] = False,
    serial: Annotated[
        str | None, typer.Option(help="Which phone, as adb or devicectl lists it.")
    ] = None,
    binary: Annotated[
        Path | None,
        typer.Option(help="Android: LiteRT's benchmark_model, instead of the app."),
    ] = None,
    app: Annotated[
        Path | None,
        typer.Option(help="App to install on the phone first, or folder of the web page."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the probe there, as JSON.")] = None,
    comparison: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--compare", metavar="A.json B.json", help="Print ratios B / A instead."),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a probe instead.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Time a bundle's files, after each has passed the golden self-test on that device.

    Ten warm-ups, then a hundred calls with one photo or one sentence. A file that fails its
    golden check is listed without a latency, and the exit status is 1. docs/probe.md says
    how to set up a phone and how to read the figures.

    \b
    leanclip probe student.bundle --out here.json
    leanclip probe student.bundle --format onnx,torch --checkpoint runs/student
    leanclip probe student.bundle --device android --sustained --out pixel.json
    leanclip probe student.bundle --device android --binary benchmark_model
    leanclip probe student.bundle --device browser
    leanclip probe --compare here.json pixel.json
    """
    from rich.console import Console

    from export.probe.figures import SUSTAINED_SECONDS
    from export.probe.files import probe_schema
    from export.probe.run import Request, run_probe
    from retrieval.hub.names import model_folder

    if schema:
        print(probe_schema(), end="")
        return
    if comparison is not None:
        _compare(*comparison, as_json=as_json)
        return
    if bundle is None:
        raise ProbeError("which bundle? leanclip probe BUNDLE, or leanclip probe default")
    request = Request(
        folder=model_folder(bundle),
        kind=device,
        formats=tuple(listed(formats)),
        precisions=tuple(listed(precision)),
        threads=threads,
        sustained_seconds=SUSTAINED_SECONDS if sustained else None,
        checkpoint=checkpoint,
        serial=serial,
        binary=binary,
        app=app,
    )
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    with console.status("probing") as status:
        result = run_probe(request, status.update, console.print)
    _finish(result, out, as_json=as_json)


def _finish(result: ProbeResult, out: Path | None, *, as_json: bool) -> None:
    from export.probe.files import write_probe
    from retrieval.cli.probe_tables import show_probe

    if out is not None:
        write_probe(out, result)
    if as_json:
        print(result.model_dump_json())
    else:
        show_probe(result)
    if not result.passed:
        raise typer.Exit(EXIT_FAILED)


def _compare(first: Path, second: Path, *, as_json: bool) -> None:
    from export.probe.compare import compare
    from export.probe.files import read_probe
    from retrieval.cli.probe_tables import ratios_as_json, show_ratios

    ratios = compare(read_probe(first), read_probe(second))
    if as_json:
        print(json.dumps(ratios_as_json(ratios)))
    else:
        show_ratios(ratios, first, second)
