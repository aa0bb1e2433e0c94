"""A model's bundle in the work folder, to which files are added as rows ask for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from targets.row import Model

from export.bundle import add_files, pack_bundle
from export.quantize.calibration import load_calibration
from export.targets.registry import require_converters
from export.targets.support import refusal
from retrieval.models.checkpoint import Checkpoint
from retrieval.spec.bundle import MANIFEST, Bundle, TowerFile, read_bundle
from retrieval.spec.errors import LeanclipError, MissingExtraError
from retrieval.spec.files import sha256_json
from retrieval.spec.tower import Tower

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Refused:
    """A file that there is not.

    Attributes:
        reason: One line.
        final: Whether another run on this machine would say the same.
    """

    reason: str
    final: bool = True


class Workshop:
    """A model, and the bundle that holds its files.

    The bundle starts with fp32 ONNX files of both towers, and is made anew for other weights.

    Args:
        model: What is measured.
        work: Folder of all bundles.
        calibration: Photos, or captioned photos, for precisions that need them.
        tell: Told what is being done.

    Raises:
        LeanclipError: The model cannot be read or not even be exported in fp32.
    """

    def __init__(self, model: Model, work: Path, calibration: Path, tell: Tell) -> None:
        self.source: Checkpoint = model.load()
        self.folder = bundle_folder(model, work)
        self._calibration = calibration
        self._tell = tell
        if not self._usable():
            pack_bundle(self.source, self.folder, precision="fp32", tell=tell)

    @property
    def bundle(self) -> Bundle:
        """Its manifest as it is now."""
        return read_bundle(self.folder)

    def convert(
        self, tower: Tower, format: str, precisions: Sequence[str]
    ) -> dict[str, TowerFile | Refused]:
        """Files of a tower in one format, by precision; those that are there stay.

        Raises:
            OSError: The disk is full or not writable.
        """
        found: dict[str, TowerFile | Refused] = {}
        missing = []
        for precision in precisions:
            file = self._there(tower, format, precision)
            reason = refusal(self.source.config, tower, format, precision)
            if file is not None:
                found[precision] = file
            elif reason is not None:
                found[precision] = Refused(reason)
            else:
                missing.append(precision)
        return found | (self._add(tower, format, missing) if missing else {})

    def _add(
        self, tower: Tower, format: str, precisions: Sequence[str]
    ) -> dict[str, TowerFile | Refused]:
        """Add all at once, which traces the tower once; where that fails, one by one."""
        try:
            require_converters([format])
            bundle = add_files(
                self.folder,
                self.source,
                formats=[format],
                precisions={tower: list(precisions)},
                calibration=load_calibration(
                    self._calibration,
                    None,
                    preprocessing=self.source.config.preprocessing,
                    tokenizer=self.source.tokenizer,
                ),
                tell=self._tell,
            )
        except MissingExtraError as error:
            return dict.fromkeys(precisions, Refused(str(error), final=False))
        except OSError:
            raise
        except Exception as error:  # Converters raise whatever they like.
            if len(precisions) == 1:
                return {precisions[0]: Refused(one_line(error))}
            alone = [self._add(tower, format, [precision]) for precision in precisions]
            return {precision: file for one in alone for precision, file in one.items()}
        return dict(zip(precisions, bundle.files[-len(precisions) :], strict=True))

    def _there(self, tower: Tower, format: str, precision: str) -> TowerFile | None:
        wanted = (tower, format, precision)
        files = (
            file
            for file in self.bundle.files
            if (file.tower, file.format, file.precision) == wanted
        )
        return next(files, None)

    def _usable(self) -> bool:
        if not (self.folder / MANIFEST).is_file():
            return False
        return self.bundle.fingerprint == self.source.fingerprint


def bundle_folder(model: Model, work: Path) -> Path:
    """Where a model's bundle lies; other weights have another."""
    plain = "".join(c if c.isalnum() else "-" for c in model.name)
    return work / f"{plain}-{sha256_json(model.identity)[:8]}"


def one_line(error: Exception) -> str:
    """What went wrong, short enough for a table."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    return first if isinstance(error, LeanclipError) else f"{type(error).__name__}: {first}"
