"""An iPhone or iPad through ``xcrun devicectl`` of Xcode 15 or later."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export.probe.command import Answer, call
from retrieval.spec.errors import ProbeError

LEAST_SYSTEM = 17
"""devicectl talks to iOS 17 and later."""

_INSTALL = "iPhones can be probed from a Mac with Xcode 15 or later"
_SECONDS = 120.0
_TRANSFER_SECONDS = 600.0

_REASONS = (
    ("Locked", "is locked: unlock it, keep it awake, and probe again"),
    ("not, or could not be, unlocked", "is locked: unlock it, keep it awake, and probe again"),
    ("No space left on device", "is full: free some space on it and probe again"),
    ("not enough storage", "is full: free some space on it and probe again"),
    ("error 1011", "is gone: plug it in, unlock it and probe again"),
    ("was not found", "is gone: plug it in, unlock it and probe again"),
    ("disconnected", "is gone: plug it in, unlock it and probe again"),
    ("error 4000", "is gone: plug it in, unlock it and probe again"),
    ("Developer Mode", "is not in Developer Mode: switch it on in Settings, Privacy & Security"),
    ("must be paired", "does not trust this Mac: unlock it and tap Trust"),
)


class IPhone:
    """One device that is ready.

    Args:
        entry: Its entry in devicectl's list.
    """

    def __init__(self, entry: dict[str, Any]) -> None:
        hardware, about = entry.get("hardwareProperties", {}), entry.get("deviceProperties", {})
        self.identifier: str = entry["identifier"]
        self.name: str = about.get("name", self.identifier)
        self.model: str = hardware.get("marketingName") or hardware.get("productType", "iPhone")
        self.system: str = about.get("osVersionNumber", "")

    def device(self, verb: str, *words: str, seconds: float = _SECONDS) -> Answer:
        """Run ``devicectl device VERB --device THIS WORDS``.

        Raises:
            ProbeError: devicectl is missing, or refuses.
        """
        command = ("device", *verb.split(), "--device", self.identifier, *words)
        answer = _devicectl(*command, seconds=seconds)
        if answer.status != 0:
            raise ProbeError(self._refusal(answer, verb))
        return answer

    def copy_to(self, source: Path, target: str, *, app: str) -> None:
        """Copy a file or a folder into an app's container.

        Raises:
            ProbeError: devicectl refuses.
        """
        container = ("--domain-type", "appDataContainer", "--domain-identifier", app)
        ends = ("--source", str(source), "--destination", target)
        self.device("copy to", *container, *ends, seconds=_TRANSFER_SECONDS)

    def copy_from(self, source: str, target: Path, *, app: str) -> bool:
        """Copy a file out of an app's container; False if it is not there yet.

        Raises:
            ProbeError: The device is gone.
        """
        container = ("--domain-type", "appDataContainer", "--domain-identifier", app)
        ends = ("--source", source, "--destination", str(target))
        try:
            self.device("copy from", *container, *ends, seconds=_TRANSFER_SECONDS)
        except ProbeError as error:
            if " is gone: " in str(error):
                raise
            return False
        return target.is_file()

    def _refusal(self, answer: Answer, what: str) -> str:
        said = f"{answer.errors}\n{answer.text}"
        for sign, advice in _REASONS:
            if sign in said:
                return f"{self.name} {advice}"
        lines = [line.strip() for line in said.splitlines() if line.strip().startswith("ERROR:")]
        return f"{self.name}: devicectl cannot {what}: {lines[0] if lines else answer.said}"


def find_iphone(serial: str | None) -> IPhone:
    """The device that is meant, ready to use.

    Args:
        serial: Its identifier, UDID or name; None if there is only one.

    Raises:
        ProbeError: None or several are connected, or this one cannot be used; with what to do.
    """
    entries = [entry for entry in _listed() if _is_phone(entry)]
    if serial is not None:
        entries = [entry for entry in entries if serial in _names(entry)]
        if not entries:
            raise ProbeError(f"{serial} is not connected: plug it in, unlock it and tap Trust")
    else:
        # devicectl goes on listing whatever it has ever met.
        entries = [entry for entry in entries if _tunnel(entry) != "unavailable"]
    if not entries:
        raise ProbeError("no iPhone is connected: plug it in, unlock it and tap Trust")
    if len(entries) > 1:
        found = " | ".join(entry["identifier"] for entry in entries)
        raise ProbeError(f"several iPhones are connected, choose one: --serial {found}")
    return _ready(entries[0])


def _ready(entry: dict[str, Any]) -> IPhone:
    phone = IPhone(entry)
    about = entry.get("deviceProperties", {})
    if _tunnel(entry) == "unavailable":
        raise ProbeError(f"{phone.name} is gone: plug it in, unlock it and probe again")
    if entry.get("connectionProperties", {}).get("pairingState") != "paired":
        raise ProbeError(f"{phone.name} does not trust this Mac: unlock it and tap Trust")
    if about.get("developerModeStatus", "enabled") != "enabled":
        raise ProbeError(
            f"{phone.name} is not in Developer Mode: switch it on in Settings, Privacy & Security"
        )
    major = phone.system.partition(".")[0]
    if major.isdigit() and int(major) < LEAST_SYSTEM:
        raise ProbeError(
            f"{phone.name} has iOS {phone.system}, at least {LEAST_SYSTEM} is needed: update it"
        )
    return phone


def _listed() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "devices.json"
        answer = _devicectl("list", "devices", "--quiet", "--json-output", str(path))
        try:
            value = json.loads(path.read_bytes())
            devices: list[dict[str, Any]] = value["result"]["devices"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ProbeError(f"devicectl cannot list devices: {answer.said}; {_INSTALL}") from error
    return devices


def _is_phone(entry: dict[str, Any]) -> bool:
    hardware: dict[str, str] = entry.get("hardwareProperties", {})
    return hardware.get("platform") == "iOS" and hardware.get("reality", "physical") == "physical"


def _names(entry: dict[str, Any]) -> Sequence[str | None]:
    udid = entry.get("hardwareProperties", {}).get("udid")
    return entry["identifier"], udid, entry.get("deviceProperties", {}).get("name")


def _tunnel(entry: dict[str, Any]) -> str | None:
    state: str | None = entry.get("connectionProperties", {}).get("tunnelState")
    return state


def _devicectl(*words: str, seconds: float = _SECONDS) -> Answer:
    return call(["xcrun", "devicectl", *words], seconds=seconds, advice=_INSTALL)
