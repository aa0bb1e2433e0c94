"""An Android phone through ``adb``."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from export.probe.command import Answer, call
from export.probe.result import Device, System, Thermal
from retrieval.spec.errors import ProbeError

TEMPORARY = PurePosixPath("/data/local/tmp")
LEAST_API = 26
"""Android 8: what the app and both runtimes run on."""

_INSTALL = "install Android's platform-tools"
_SECONDS = 120.0
_TRANSFER_SECONDS = 600.0
_THERMAL: tuple[Thermal, ...] = (
    "none",
    "light",
    "moderate",
    "severe",
    "critical",
    "emergency",
    "shutdown",
)
_STATES = {
    "unauthorized": "has not allowed this computer: unlock it and accept the USB debugging prompt",
    "authorizing": "is still asking for permission: unlock it and accept the USB debugging prompt",
    "offline": "is offline: unplug it, plug it in again, or run: adb reconnect",
    "no": "may not be opened by this user: add udev rules for it, then run: adb kill-server",
    "bootloader": "is in its bootloader: start Android on it",
    "recovery": "is in recovery: start Android on it",
    "sideload": "is in sideload mode: start Android on it",
}
_GONE = re.compile(
    r"device '[^']*' not found|device not found|device offline|no devices/emulators found"
    r"|error: closed|device still connecting|protocol fault|device unauthorized"
)


class Phone:
    """One phone that is ready.

    Args:
        serial: As ``adb devices`` lists it.
    """

    def __init__(self, serial: str) -> None:
        self.serial = serial

    def adb(self, *arguments: str, seconds: float = _SECONDS) -> Answer:
        """Run one adb command on this phone, whatever its status.

        Raises:
            ProbeError: adb is missing, or the phone is gone.
        """
        answer = call(["adb", "-s", self.serial, *arguments], seconds=seconds, advice=_INSTALL)
        if answer.status != 0 and _GONE.search(answer.errors):
            raise ProbeError(
                f"phone {self.serial} is gone ({answer.said}): plug it in and probe again"
            )
        return answer

    def shell(self, *words: str, seconds: float = _SECONDS) -> Answer:
        """Run one command on the phone, its words quoted."""
        return self.adb("shell", shlex.join(words), seconds=seconds)

    def push(self, source: Path, target: PurePosixPath) -> None:
        """Copy a file or a folder onto the phone.

        Raises:
            ProbeError: The phone is full, or refuses.
        """
        answer = self.adb("push", str(source), str(target), seconds=_TRANSFER_SECONDS)
        if answer.status != 0:
            raise ProbeError(_refusal(self.serial, answer, f"cannot push {source.name}"))

    def pull(self, source: PurePosixPath, target: Path) -> bool:
        """Copy a file from the phone; False if there is none."""
        return self.adb("pull", str(source), str(target), seconds=_TRANSFER_SECONDS).status == 0

    def property(self, name: str) -> str:
        """A system property; empty where there is none."""
        return self.shell("getprop", name).text.strip()

    def device(self) -> Device:
        """Maker and model."""
        return Device(
            kind="android",
            maker=self.property("ro.product.manufacturer") or None,
            model=self.property("ro.product.model") or self.serial,
        )

    def system(self) -> System:
        """Version of Android."""
        return System(name="Android", version=self.property("ro.build.version.release"))

    def thermal(self) -> Thermal | None:
        """How warm the phone says it is; None before Android 10."""
        found = re.search(r"Thermal Status: (\d)", self.shell("dumpsys", "thermalservice").text)
        level = int(found[1]) if found else len(_THERMAL)
        return _THERMAL[level] if level < len(_THERMAL) else None

    @contextmanager
    def folder(self, name: str) -> Iterator[PurePosixPath]:
        """A folder on the phone that is removed in the end, also after a failure.

        Raises:
            ProbeError: It cannot be made; or the body failed and the folder cannot be removed
                either, in which case the error names it.
        """
        path = TEMPORARY / name
        try:
            made = self.shell("mkdir", "-p", str(path))
            if made.status != 0:
                raise ProbeError(_refusal(self.serial, made, f"cannot make {path}"))
            yield path
        except ProbeError as error:
            if not self._removed(path):
                raise ProbeError(f"{error}; {path} may be left on it") from error
            raise
        except BaseException:
            self._removed(path)
            raise
        else:
            self._removed(path)

    def _removed(self, path: PurePosixPath) -> bool:
        try:
            return self.shell("rm", "-rf", str(path)).status == 0
        except ProbeError:
            return False


def find_phone(serial: str | None) -> Phone:
    """The phone that is meant, ready to use.

    Args:
        serial: Which one; None if there is only one.

    Raises:
        ProbeError: None or several are connected, or this one cannot be used; with what to do.
    """
    answer = call(["adb", "devices", "-l"], seconds=_SECONDS, advice=_INSTALL)
    if answer.status != 0:
        raise ProbeError(f"adb cannot list phones: {answer.said}; run: adb kill-server")
    states = _listed(answer.text)
    if serial is None and len(states) == 1:
        serial = next(iter(states))
    if serial is None and states:
        raise ProbeError(f"several phones are connected, choose one: --serial {' | '.join(states)}")
    if serial not in states or serial is None:
        wanted = "no phone is connected" if serial is None else f"phone {serial} is not connected"
        raise ProbeError(f"{wanted}: switch on USB debugging in its developer options, plug it in")
    if states[serial] != "device":
        advice = _STATES.get(states[serial], f"is in state {states[serial]}: restart it")
        raise ProbeError(f"phone {serial} {advice}")
    phone = Phone(serial)
    api = phone.property("ro.build.version.sdk")
    if not api.isdigit() or int(api) < LEAST_API:
        raise ProbeError(
            f"phone {serial} has Android API {api or 'unknown'}, at least {LEAST_API} (Android 8) "
            "is needed: use a newer phone"
        )
    return phone


def _listed(text: str) -> dict[str, str]:
    """Serial and state of each phone that ``adb devices`` printed."""
    # Starting its server, adb may print lines of its own first.
    lines = text.partition("List of devices attached")[2].splitlines()
    words = [line.split() for line in lines if line.strip()]
    return {line[0]: line[1] for line in words if len(line) > 1}


def _refusal(serial: str, answer: Answer, what: str) -> str:
    if "No space left on device" in answer.errors + answer.text:
        return f"phone {serial} is full: {what}; free some space on it and probe again"
    return f"phone {serial}: {what}: {answer.said}"
