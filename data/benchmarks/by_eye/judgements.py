"""Whether a photo fits a query, as somebody said who looked at it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from by_eye.questions import Question
from figures import HERE, PHOTOS, read_csv, write_csv

JUDGEMENTS = HERE / "by_eye" / "judgements.csv"
COLUMNS = ("query", "photo", "fits")
WORDS = {"yes": True, "no": False, "": None}


class Judgements:
    """What was said of photos; of the sample photos the queries themselves say it.

    Photos are known by their names, since those of other sources are not carried here.
    """

    def __init__(self, path: Path = JUDGEMENTS) -> None:
        self._path = path
        self._said = {
            (row["query"], row["photo"]): row["fits"].strip().lower() for row in read_csv(path)
        }
        for (query, photo), word in self._said.items():
            if word not in WORDS:
                raise ValueError(f"{path}: {query}, {photo}: {word!r} is neither yes nor no")

    def fits(self, question: Question, photo: str) -> bool | None:
        """Whether the photo fits; None where nobody has said it yet."""
        if photo in question.sample or (PHOTOS / photo).exists():
            return photo in question.sample
        return WORDS[self._said.get((question.query, photo), "")]

    def ask(self, shown: Iterable[tuple[Question, str]]) -> Sequence[tuple[str, str]]:
        """Query and photo of what was shown and not judged; the file gets a blank line for each."""
        missing = [
            (question.query, photo)
            for question, photo in shown
            if self.fits(question, photo) is None
        ]
        if missing:
            self._said |= dict.fromkeys(missing, "")
            rows = ((*key, word) for key, word in self._said.items())
            write_csv(self._path, COLUMNS, (dict(zip(COLUMNS, row, strict=True)) for row in rows))
        return missing
