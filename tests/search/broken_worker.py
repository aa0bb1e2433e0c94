"""Stands in for the decoding process: what a file's name says happens to its decoder."""

import os
import sys
import time
from pathlib import Path

import retrieval.vision.worker as worker

load_frames = worker.load_frames


def accident(path: Path, *arguments: object) -> object:
    if "hang" in path.name:
        time.sleep(600)
    if "crash" in path.name:
        os.abort()
    if "denied" in path.name:
        raise PermissionError(13, "Permission denied", str(path))
    return load_frames(path, *arguments)


if __name__ == "__main__":
    if "start" in sys.argv:
        sys.exit(3)
    worker.load_frames = accident
    worker.main()
