"""The process of one tower file: it opens it, times it and embeds all inputs.

``python -m export.verify.one_file JOB.json`` writes its answer beside the job. A process of its
own, so that its peak memory is that of the file, and a runtime that crashes takes nothing along.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from retrieval.spec.reasons import in_one_line

ANSWER = "answer.json"
VECTORS = "vectors.npy"

_WARM_UP = 5
_RUNS = 30
_TIMED_ROWS = 8


def main(job_file: Path) -> None:
    """Do a job; whatever goes wrong is an answer too."""
    job = json.loads(job_file.read_text("utf-8"))
    try:
        answer = _answer(job, job_file.with_name(VECTORS))
    except Exception as error:  # runtimes raise whatever they like
        answer = {"error": in_one_line(error)}
        answer["missing"] = type(error).__name__ == "MissingExtraError"
    job_file.with_name(ANSWER).write_text(json.dumps(answer), "utf-8")


def _answer(job: dict[str, Any], vectors: Path) -> dict[str, Any]:
    _take_one_processor()
    import numpy as np

    from export.targets.registry import find_target
    from retrieval.evaluate.memory import peak_memory, resident_memory
    from retrieval.spec.bundle import Interface

    target = find_target(job["format"])
    rows = np.load(job["inputs"], mmap_mode="r")
    before = resident_memory()
    run = target.open(Path(job["path"]), Interface.model_validate(job["interface"]))
    if run is None:
        return {"runs": False}
    single = [np.array(rows[index : index + 1]) for index in range(min(_TIMED_ROWS, len(rows)))]
    seconds = []
    for call in range(_WARM_UP + _RUNS):
        started = time.perf_counter()
        run(single[call % len(single)])
        seconds.append(time.perf_counter() - started)
    peak = peak_memory()
    np.save(vectors, np.concatenate([run(np.array(rows[i : i + 1])) for i in range(len(rows))]))
    return {
        "runs": True,
        "ms": 1000 * statistics.median(seconds[_WARM_UP:]),
        "peak": peak,
        "added": peak - before if peak and before else None,
    }


def _take_one_processor() -> None:
    # Runtimes start a thread for each processor that they see.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
