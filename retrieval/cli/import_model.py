"""``leanclip import``: turn a stock model into a bundle."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from export.bundle import UNKNOWN_LICENCE, check_target, pack_bundle
from retrieval.cli.packing import Precision, print_bundle
from retrieval.models.open_clip import load_open_clip
from retrieval.spec.errors import ExportError

OPEN_CLIP = "open_clip:"


def import_model(
    source: Annotated[
        str, typer.Argument(help="open_clip:MODEL/PRETRAINED; PRETRAINED is a tag or a file.")
    ],
    bundle: Annotated[
        Path | None, typer.Argument(help="Folder to write; by default named after the model.")
    ] = None,
    precision: Annotated[Precision, typer.Option(help="Of both towers.")] = Precision.FP16,
    licence: Annotated[str, typer.Option(help="Terms of the weights.")] = UNKNOWN_LICENCE,
    random_weights: Annotated[
        bool, typer.Option(help="Allow MODEL/random, for tests.", hidden=True)
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print only JSON on standard output.")
    ] = False,
) -> None:
    """Turn an open_clip model into a bundle, without training.

    Weights come from open_clip's hub (this needs a network once) or from a file. Models
    with CLIP's tokenizer are supported: CLIP, OpenCLIP, MobileCLIP, EVA-CLIP, MetaCLIP and
    their kin; those with other tokenizers (SigLIP) are not yet.

    \b
    leanclip import open_clip:ViT-B-32/laion2b_s34b_b79k
    leanclip import open_clip:MobileCLIP2-S0/dfndr2b mobileclip.bundle --precision int8
    leanclip import open_clip:ViT-B-32/weights/finetuned.pt mine.bundle
    leanclip search "two dogs in snow" ~/Pictures --model mobileclip.bundle
    """  # noqa: D301  (click ends re-flowing at a backspace character)
    if not source.startswith(OPEN_CLIP):
        raise ExportError(f"cannot import {source!r}: name it {OPEN_CLIP}MODEL/PRETRAINED")
    name = source.removeprefix(OPEN_CLIP)
    folder = bundle or Path(_folder_name(name))
    check_target(folder)
    with Console(stderr=True).status(f"importing {name}"):
        packed = pack_bundle(
            load_open_clip(name, random_weights=random_weights),
            folder,
            precision=precision.onnx,
            licence=licence,
        )
    print_bundle(folder, packed, as_json=as_json)


def _folder_name(name: str) -> str:
    model, _, weights = name.replace(":", "-").partition("/")
    return f"{model}-{Path(weights).stem}.bundle" if weights else f"{model}.bundle"
