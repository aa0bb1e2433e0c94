"""What is left of a verification once files of its bundle were added or replaced."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from export.report import REPORT
from export.verify.figures import FileFigures, PairFigures, Verification
from export.verify.save import VERIFICATION, save_verification
from retrieval.spec.bundle import Bundle
from retrieval.spec.errors import ExportError
from retrieval.spec.files import write_json
from retrieval.spec.tower import TOWERS

NEWER = "newer than this verification; leanclip verify runs it"


def save_changed(folder: Path, old: Bundle, new: Bundle, report: dict[str, Any]) -> None:
    """Write the report of a changed bundle, and its page, without what no longer holds.

    A bundle that was never verified has no page.

    Args:
        folder: The bundle, complete with its new files.
        old: The manifest that was verified.
        new: The manifest as it is now.
        report: What it is to say of the files, and what it said of the verification.

    Raises:
        ExportError: What ``report`` says of the verification is damaged.
    """
    if VERIFICATION not in report:
        write_json(folder / REPORT, report)
        return
    try:
        verified = _read(report[VERIFICATION])
    except (ValidationError, TypeError) as error:
        raise ExportError(
            f"{folder / REPORT} is damaged: its {VERIFICATION} cannot be read; "
            "make it again with leanclip verify"
        ) from error
    save_verification(folder, new, still_true(verified, old, new), report)


def still_true(verification: Verification, old: Bundle, new: Bundle) -> Verification:
    """A verification without figures of files that are other ones now.

    Files that it has not seen are listed as not run. Pairs with such a file are left out, and
    a pair that hosts no longer open is not held to the tolerance.
    """
    verified = {(file.file, file.sha256) for file in old.files}
    kept = [file for file in new.files if (file.file, file.sha256) in verified]
    known = {figures.file: figures for figures in verification.files}
    files = tuple(
        known[file.file]
        if file in kept and file.file in known
        else FileFigures.of(file, not_run=NEWER)
        for file in new.files
    )
    names = {(file.format, file.tower, file.precision) for file in kept}
    pairs = tuple(
        _opened_now(pair, new)
        for pair in verification.pairs
        if {(pair.format, "image", pair.image), (pair.format, "text", pair.text)} <= names
    )
    return verification.model_copy(update={"files": files, "pairs": pairs})


def _read(section: dict[str, Any]) -> Verification:
    # `passed` and `failures` follow from the rest.
    return Verification.model_validate(
        {name: section[name] for name in Verification.model_fields if name in section}
    )


def _opened_now(pair: PairFigures, bundle: Bundle) -> PairFigures:
    chosen = tuple(bundle.file(tower, pair.format).precision for tower in TOWERS)
    if not pair.opened or chosen == (pair.image, pair.text):
        return pair
    return pair.model_copy(update={"opened": False, "failures": ()})
