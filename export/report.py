"""``report.json``: how near each file is to PyTorch, and that the bundle passed its own test."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from export.encoder import FilesEncoder
from export.files import PackedFile, Tell
from export.verify.golden_check import check_golden
from retrieval.language.tokenizer import Tokenizer
from retrieval.spec.bundle import Bundle, TowerFile
from retrieval.spec.errors import ExportError

REPORT = "report.json"


def make_report(
    folder: Path,
    bundle: Bundle,
    packed: Sequence[PackedFile],
    tokenizer: Tokenizer,
    *,
    earlier: Mapping[str, Any],
    tell: Tell,
) -> dict[str, Any]:
    """Run the golden test on every new file that can run here, and say what came of it.

    Args:
        folder: The bundle, complete but for its report.
        bundle: Its manifest.
        packed: The new files.
        tokenizer: Of the bundle.
        earlier: Report of files that the bundle had before, and whatever else should be in it.
        tell: Told what is being done.

    Returns:
        The report, for `REPORT`; nothing is written yet.

    Raises:
        ExportError: A file fails the golden test.
    """
    parity = {**earlier.get("parity", {}), **{one.entry.file: one.report for one in packed}}
    tell("running the golden self-test")
    runnable = [one.entry for one in packed if one.report["min_cosine"] is not None]
    tested = {**earlier.get("golden", {}), **_self_test(folder, bundle, runnable, tokenizer)}
    return of_files({**earlier, "parity": parity, "golden": tested}, bundle)


def of_files(report: Mapping[str, Any], bundle: Bundle) -> dict[str, Any]:
    """A report without what it says of files that the bundle does not have."""
    names = [file.file for file in bundle.files]
    return {
        **report,
        **{
            part: {name: report[part][name] for name in names if name in report[part]}
            for part in ("parity", "golden")
        },
        "bytes": {file.file: file.bytes for file in bundle.files},
    }


def read_report(folder: Path) -> dict[str, Any]:
    """What a bundle's report says; empty if it has none.

    Raises:
        ExportError: It is not a JSON object.
    """
    path = folder / REPORT
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise ExportError(f"{path} is damaged; export the bundle again") from error


def _self_test(
    folder: Path, bundle: Bundle, files: Sequence[TowerFile], tokenizer: Tokenizer
) -> dict[str, float]:
    """Least cosine to the golden embeddings, by file."""
    tested: dict[str, float] = {}
    for file in files:
        encoder = FilesEncoder(folder, bundle, {file.tower: file}, tokenizer)
        found = check_golden(encoder, folder, {file.tower: file.precision})
        if found.failures:
            raise ExportError(
                f"{file.file} fails {len(found.failures)} of the bundle's golden tests; "
                f"the first: {found.failures[0]}; leave this precision out"
            )
        tested[file.file] = found.min_cosine[file.tower]
    return tested
