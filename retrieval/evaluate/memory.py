"""Memory of this process, as the system counts it."""

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_memory() -> int | None:
    """Most bytes that this process has had in memory; None where the system does not tell."""
    # Not getrusage on Linux: its peak counts the parent that this process was forked from.
    found = _counted("VmHWM")
    if found is None and sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found


def resident_memory() -> int | None:
    """Bytes that this process has in memory now; None where the system does not tell."""
    return _counted("VmRSS")


def _counted(name: str) -> int | None:
    if _STATUS.is_file():
        for line in _STATUS.read_text("ascii", "replace").splitlines():
            if line.startswith(f"{name}:"):
                return 1024 * int(line.split()[1])
    return None
