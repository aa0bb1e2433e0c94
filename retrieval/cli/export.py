"""``leanclip export``: turn a checkpoint into a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.options import JsonOption
from retrieval.cli.packing import (
    CalibrationPhotos,
    CalibrationSentences,
    ToFormats,
    calibration_for,
    listed,
    print_bundle,
)
from retrieval.spec.defaults import UNKNOWN_LICENCE


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint folder.")],
    bundle: Annotated[Path, typer.Argument(help="Folder to write; an earlier bundle is replaced.")],
    to: ToFormats = "onnx",
    precision: Annotated[
        str | None,
        typer.Option(
            help="One or several, separated by commas, of both towers; by default as trained if "
            "quantised, else fp16."
        ),
    ] = None,
    image_precision: Annotated[
        str | None, typer.Option(help="Of the image tower, if it should differ.")
    ] = None,
    text_precision: Annotated[
        str | None, typer.Option(help="Of the text tower, if it should differ.")
    ] = None,
    calibrate: CalibrationPhotos = None,
    sentences: CalibrationSentences = None,
    licence: Annotated[str, typer.Option(help="Terms of the weights.")] = UNKNOWN_LICENCE,
    data: Annotated[
        list[str] | None, typer.Option(help="Name of training data; may be repeated.")
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="Model card in Markdown, carried as README.md.")
    ] = None,
    recommend: Annotated[
        Path | None,
        typer.Option(
            metavar="PAIRS.jsonl",
            help="Captioned photos to search: mark the smallest files that still retrieve.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a checkpoint into a bundle that leanclip and the phone apps read.

    Every file that can run on this machine is compared with PyTorch and must pass the
    bundle's golden self-test; otherwise nothing is written. A precision is written in those
    of the formats that have it:

    \b
    fp32         as trained
    fp16         half the bytes, same results
    int8         a quarter of the bytes; transformers also run faster
    int8-static  convolutional towers in int8 throughout: fastest; needs --calibrate
    mixed        as the fastest int8, but layers that suffer from it stay float
    int4         matrices in 4 bits
    pal8, pal6, pal4  palettes of 256, 64 or 16 values (coreml)
    trained      the codes that quantised training chose, all else fp16

    A format whose converter lives in another environment is added from there, with
    leanclip quantize.

    \b
    leanclip export runs/student student.bundle
    leanclip export runs/student student.bundle --precision int8 --licence CC-BY-4.0
    leanclip export runs/student student.bundle --to onnx,coreml,litert --precision fp16,int8
    leanclip export runs/student student.bundle --image-precision int8-static \\
        --text-precision int8 --calibrate ~/Pictures
    leanclip export runs/student student.bundle --precision fp16,int8,int4 \\
        --recommend dev.jsonl
    leanclip search "two dogs in snow" ~/Pictures --model student.bundle
    """
    from rich.console import Console

    from export.bundle import check_target, pack_bundle
    from export.targets.registry import require_converters
    from export.verify.save import recommend as recommend_files
    from retrieval.corpora.pairs import read_pairs
    from retrieval.models.checkpoint import load_checkpoint

    formats = listed(to)
    require_converters(formats)
    check_target(bundle)
    pairs = read_pairs(recommend) if recommend else None
    source = load_checkpoint(checkpoint)
    with Console(stderr=True).status(f"exporting {checkpoint}") as status:
        packed = pack_bundle(
            source,
            bundle,
            formats=formats,
            precision=listed(precision),
            image_precision=listed(image_precision),
            text_precision=listed(text_precision),
            calibration=calibration_for(source, calibrate, sentences),
            licence=licence,
            training_data=data or (),
            model_card=card,
            tell=status.update,
        )
        if pairs is not None:
            packed = recommend_files(bundle, pairs, checkpoint=source, tell=status.update)
    print_bundle(bundle, packed, as_json=as_json)
