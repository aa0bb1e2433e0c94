"""The log of a stage: a JSON line for every step and every evaluation."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrieval.compress.distributed.ranks import rank
from retrieval.spec.files import replacing

LOG = "log.jsonl"


class TrainingLog:
    """Appends lines; of several processes, only the first one writes.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, entry: Mapping[str, Any]) -> None:
        """Append one line."""
        if rank():
            return
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")

    def begin_at(self, step: int) -> None:
        """Drop lines of steps after ``step``, where a run goes on, so that none appears twice."""
        if rank() or not self.path.exists():
            return
        if step == 0:
            self.path.unlink()
            return
        kept = [
            line
            for line in self.path.read_text("utf-8").splitlines(keepends=True)
            if line.endswith("\n") and json.loads(line)["step"] <= step
        ]
        with replacing(self.path) as temporary:
            temporary.write_text("".join(kept), "utf-8")
