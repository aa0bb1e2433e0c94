"""``leanclip import``: turn a stock model into a bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.options import JsonOption
from retrieval.cli.packing import calibration_for, listed, print_bundle
from retrieval.spec.defaults import UNKNOWN_LICENCE
from retrieval.spec.errors import ExportError

if TYPE_CHECKING:
    from export.mobile import Judge
    from retrieval.corpora.pairs import CaptionedPhoto
    from retrieval.models.checkpoint import Checkpoint
    from retrieval.spec.bundle import Bundle


def import_model(
    source: Annotated[
        str,
        typer.Argument(
            help="open_clip:MODEL/PRETRAINED (a tag or a file), hf:ORG/NAME, hf:FOLDER, timm:NAME."
        ),
    ],
    bundle: Annotated[
        Path | None, typer.Argument(help="Folder to write; by default named after the model.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="Formats, separated by commas; by default onnx, with --quantize "
            "onnx,coreml,litert."
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="One or several, separated by commas, of both towers; by default fp16."),
    ] = None,
    quantize: Annotated[
        bool,
        typer.Option("--quantize", help="A mobile bundle: one small file a tower and format."),
    ] = False,
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Photos, for int8 throughout: a folder, or captioned photos."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="PAIRS.jsonl",
            help="With --quantize: captioned photos on which the files must find what fp32 finds.",
        ),
    ] = None,
    licence: Annotated[str, typer.Option(help="Terms of the weights.")] = UNKNOWN_LICENCE,
    random_weights: Annotated[
        bool, typer.Option(help="Allow MODEL/random, for tests.", hidden=True)
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Turn a stock model into a bundle, without training.

    Takes CLIP and its kin (OpenCLIP, MobileCLIP, EVA-CLIP, MetaCLIP) and SigLIP and SigLIP 2,
    from open_clip, from Hugging Face (a repository or a folder of transformers), or by timm's
    name of the image tower. Weights that are not on this machine are fetched once. Their
    licence stays what it is; say it with --licence.

    With --quantize every tower becomes small: int8, and with --calibrate convolutional towers
    run in int8 throughout. With --data the recall of these files is measured beside PyTorch's,
    and where they lose more than half a point of recall@10, the fp16 files are kept instead.

    \b
    leanclip import open_clip:ViT-B-32/laion2b_s34b_b79k
    leanclip import open_clip:ViT-B-32/weights/finetuned.pt mine.bundle
    leanclip import hf:openai/clip-vit-base-patch32 --precision int8
    leanclip import hf:google/siglip-base-patch16-224 siglip.bundle
    leanclip import timm:fastvit_mci2.apple_mclip2_dfndr2b mobileclip.bundle \\
        --quantize --calibrate ~/Pictures --data pairs.jsonl
    leanclip search "two dogs in snow" ~/Pictures --model mobileclip.bundle
    """
    from rich.console import Console

    from export.bundle import check_target, pack_bundle
    from export.mobile import MOBILE_FORMATS, pack_mobile
    from export.targets.registry import require_converters
    from retrieval.corpora.pairs import read_pairs
    from retrieval.models.stock import load_stock

    _check_options(quantize, precision, data)
    formats = listed(to) or (list(MOBILE_FORMATS) if quantize else ["onnx"])
    require_converters(formats)
    folder = bundle or Path(_folder_name(source))
    check_target(folder)
    pairs = read_pairs(data) if data is not None else None
    with Console(stderr=True).status(f"importing {source}") as status:
        model = load_stock(source, random_weights=random_weights)
        calibration = calibration_for(model, calibrate, None)
        if quantize:
            packed = pack_mobile(
                model, folder, formats=formats, calibration=calibration,
                judge=_judge(model, pairs, status.update), licence=licence, tell=status.update,
            )  # fmt: skip
        else:
            packed = pack_bundle(
                model, folder, formats=formats, precision=listed(precision),
                calibration=calibration, licence=licence, tell=status.update,
            )  # fmt: skip
    recall = _recall(folder, packed) if pairs is not None else None
    print_bundle(folder, packed, as_json=as_json, more={"recall": recall} if recall else None)
    if recall and not as_json:
        _show(recall)


def _check_options(quantize: bool, precision: str | None, data: Path | None) -> None:
    if quantize and precision:
        raise ExportError("--quantize chooses the precisions itself: leave --precision out")
    if data is not None and not quantize:
        raise ExportError("--data goes with --quantize; else measure with leanclip verify")


def _judge(
    model: Checkpoint, pairs: Sequence[CaptionedPhoto] | None, tell: Callable[[str], None]
) -> Judge | None:
    if pairs is None:
        return None
    from export.verify.save import recommend

    return lambda folder: recommend(folder, pairs, checkpoint=model, tell=tell)


def _recall(folder: Path, bundle: Bundle) -> list[dict[str, Any]]:
    """Recall of the pairs of files that stayed, and how many points they lose to PyTorch."""
    from export.report import read_report
    from retrieval.spec.tower import TOWERS

    kept = {(file.format, file.tower, file.precision) for file in bundle.files}
    return [
        {key: pair[key] for key in ("format", "image", "text")} | pair["loss"]
        for pair in read_report(folder)["verification"]["pairs"]
        if all((pair["format"], tower, pair[tower]) in kept for tower in TOWERS)
    ]


def _show(recall: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="recall@10 and points lost to PyTorch", title_justify="left")
    for heading in ("format", "image", "text", "text to image", "image to text"):
        table.add_column(heading)
    for pair in recall:
        ways = [
            f"{100 * pair['recall'][way]['recall@10']:.1f} % ({lost['recall@10']:+.1f})"
            for way, lost in pair["points"].items()
        ]
        table.add_row(pair["format"], pair["image"], pair["text"], *ways)
    Console().print(table)


def _folder_name(source: str) -> str:
    """The last parts of a model's name, as a folder in the working directory."""
    from retrieval.models.stock import OPEN_CLIP

    scheme, _, name = source.partition(":")
    if scheme != OPEN_CLIP:
        return f"{Path(name).name}.bundle"
    model, _, weights = name.replace(":", "-").partition("/")
    return f"{model}-{Path(weights).stem}.bundle" if weights else f"{model}.bundle"
