"""What this machine is called in a probe."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version

from export.probe.result import Device, System
from retrieval.evaluate.latency import machine_name


def this_device() -> Device:
    """The machine that this process runs on."""
    # The last part of the name is the system, which has a place of its own.
    return Device(kind="host", model=machine_name().rpartition(",")[0])


def this_system() -> System:
    """Its operating system."""
    return System(name=platform.system() or "unknown", version=platform.release())


def leanclip_version() -> str:
    """Of this installation."""
    return version("leanclip")


def now() -> datetime:
    """This second, in UTC."""
    return datetime.now(UTC).replace(microsecond=0)
