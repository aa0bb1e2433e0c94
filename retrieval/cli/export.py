"""``leanclip export``: turn a checkpoint into a bundle."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from export.bundle import UNKNOWN_LICENCE, check_target, pack_bundle
from retrieval.cli.packing import Precision, check_formats, print_bundle
from retrieval.models.checkpoint import load_checkpoint


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint folder.")],
    bundle: Annotated[Path, typer.Argument(help="Folder to write; an earlier bundle is replaced.")],
    to: Annotated[str, typer.Option(help="Formats, separated by commas: onnx.")] = "onnx",
    precision: Annotated[
        Precision | None,
        typer.Option(help="Of both towers; by default as trained if quantised, else fp16."),
    ] = None,
    image_precision: Annotated[
        Precision | None, typer.Option(help="Of the image tower, if it should differ.")
    ] = None,
    text_precision: Annotated[
        Precision | None, typer.Option(help="Of the text tower, if it should differ.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Terms of the weights.")] = UNKNOWN_LICENCE,
    data: Annotated[
        list[str] | None, typer.Option(help="Name of training data; may be repeated.")
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="Model card in Markdown, carried as README.md.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print only JSON on standard output.")
    ] = False,
) -> None:
    """Turn a checkpoint into a bundle that leanclip and the phone apps read.

    Each tower is compared with PyTorch after conversion, and the bundle must pass its own
    golden self-test; otherwise nothing is written.

    \b
    fp32  as trained
    fp16  half the bytes, same speed and results on a processor
    int8  a quarter of the bytes; transformers also run faster
    trained  the codes that quantised training chose, all else fp16

    \b
    leanclip export runs/student student.bundle
    leanclip export runs/student student.bundle --precision int8 --licence CC-BY-4.0
    leanclip search "two dogs in snow" ~/Pictures --model student.bundle
    """  # noqa: D301  (click ends re-flowing at a backspace character)
    check_formats(to)
    check_target(bundle)
    with Console(stderr=True).status(f"exporting {checkpoint}"):
        packed = pack_bundle(
            load_checkpoint(checkpoint),
            bundle,
            precision=precision.onnx if precision else None,
            image_precision=image_precision.onnx if image_precision else None,
            text_precision=text_precision.onnx if text_precision else None,
            licence=licence,
            training_data=data or (),
            model_card=card,
        )
    print_bundle(bundle, packed, as_json=as_json)
