"""Decodes photos and videos on request, in a process of its own.

A decoder that hangs or crashes on damaged bytes takes only this process with it; its owner
starts another and goes on. Requests come on standard input, one JSON object a line; what is
answered on standard output stands in `serve`. The process ends when its input does, so none
outlives a killed owner.
"""

import dataclasses
import faulthandler
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

from retrieval.spec.errors import PhotoError
from retrieval.spec.files import sha256_file
from retrieval.spec.preprocessing import Preprocessing
from retrieval.vision.details import read_details
from retrieval.vision.frames import load_frames

READY = b"ready\n"


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more.

    The first line is the `Preprocessing`; the answer is `READY`. Then for each request

    - ``path``, and ``read_seconds`` to read it in: ``{"sha256": ...}``;
    - if it says ``"decode_seconds": ...``: ``{"details": {...}, "moments": [...]}`` and on the
      next bytes the pixels, uint8 ``(moments, 3, size, size)``;
    - instead of either: ``{"why": ..., "again": ...}``, where ``again`` says that the system
      refused and may let it be read later.

    A process that has not answered in time ends itself, whatever its libraries are doing.
    """
    spec = Preprocessing.model_validate_json(requests.readline())
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123  (a device, not a path of ours)
        _answer(answers, READY)
        for line in requests:
            request = json.loads(line)
            path = Path(request["path"])
            try:
                faulthandler.dump_traceback_later(request["read_seconds"], exit=True, file=nowhere)
                _answer(answers, _line({"sha256": sha256_file(path)}))
                if "decode_seconds" in request:
                    faulthandler.dump_traceback_later(
                        request["decode_seconds"], exit=True, file=nowhere
                    )
                    pixels, moments = load_frames(path, spec)
                    found = {"details": _details(path, moments[-1]), "moments": moments}
                    _answer(answers, _line(found) + pixels.tobytes())
            except (PhotoError, OSError) as error:
                _answer(answers, _line(_refusal(path, error)))
            finally:
                faulthandler.cancel_dump_traceback_later()


def main() -> None:
    """Serve standard input and output."""
    # Ctrl-C goes to every process of the terminal; the owner decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Some libraries print to standard output, between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        serve(sys.stdin.buffer, answers)
    except BrokenPipeError:
        os._exit(1)


def _details(path: Path, last_moment: int | None) -> dict[str, Any]:
    details = dataclasses.asdict(read_details(path))
    if details["duration_ms"] is None:
        # A video that does not say how long it is lasts up to its last picture, at least.
        details["duration_ms"] = last_moment
    return details


def _refusal(path: Path, error: PhotoError | OSError) -> dict[str, Any]:
    cause = error.__cause__ if isinstance(error, PhotoError) else error
    # The system names its refusals by number; Pillow's own OSErrors have none.
    refused = isinstance(cause, OSError) and cause.errno is not None
    again = refused or isinstance(cause, MemoryError)
    if isinstance(error, OSError):
        reason = f"cannot be read: {error.strerror or type(error).__name__}"
    else:
        reason = str(error).removeprefix(str(path)).lstrip(": ")
    # A name that is not valid text may be quoted in the reason, which must be text.
    return {"why": reason.encode("utf-8", "backslashreplace").decode(), "again": again}


def _line(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer).encode() + b"\n"


def _answer(answers: BinaryIO, content: bytes) -> None:
    answers.write(content)
    answers.flush()


if __name__ == "__main__":
    main()
