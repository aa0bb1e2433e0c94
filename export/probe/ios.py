"""Probing an iPhone with the shell app."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from export.probe.devicectl import IPhone
from export.probe.files import parse_probe
from export.probe.job import FAILURE, RESULT, check_answer, new_run, seconds_allowed, stage_job
from export.probe.plan import Plan
from export.probe.result import ProbeResult
from retrieval.spec.errors import ProbeError

BUNDLE_ID = "org.leanclip.app"
ARGUMENT_RUN = "--probe-run"
"""Followed by the job's folder in ``Documents/probe`` of the app's container."""

_POLL_SECONDS = 2.0


def probe_with_ios_app(
    plan: Plan,
    phone: IPhone,
    *,
    app: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
    poll_seconds: float = _POLL_SECONDS,
) -> ProbeResult:
    """Let the app on the phone make the probe.

    devicectl cannot remove files, so the app itself removes the job's bundle after it has
    written the result, and earlier runs when it starts.

    Args:
        plan: What to run.
        phone: Where.
        app: An ``.app`` or ``.ipa`` to install first; None if it is there.
        tell: Told what is being done.
        poll_seconds: Between two looks for the result.

    Raises:
        ProbeError: The app is missing, stops or answers something else; or the phone is
            locked, full or gone.
    """
    run = new_run()
    if app is not None:
        if not app.exists():
            raise ProbeError(f"there is no app at {app}: build apps/ios first")
        tell(f"installing {app.name}")
        phone.device("install app", str(app), seconds=600)
    _check_installed(phone)
    inside = f"Documents/probe/{run}"
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        stage_job(plan, run, here / run)
        tell(f"copying {len(plan.files)} files to {phone.name}")
        phone.copy_to(here / run, inside, app=BUNDLE_ID)
        tell(f"probing on {phone.name}")
        phone.device("process launch", "--terminate-existing", BUNDLE_ID, ARGUMENT_RUN, run)
        text = _wait(phone, inside, here, seconds_allowed(plan), poll_seconds)
    result = parse_probe(text, origin=f"the app's answer on {phone.name}")
    return check_answer(plan, result, "ios")


def _check_installed(phone: IPhone) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "apps.json"
        phone.device("info apps", "--bundle-id", BUNDLE_ID, "--json-output", str(path))
        if not path.is_file() or BUNDLE_ID not in path.read_text("utf-8").partition('"result"')[2]:
            raise ProbeError(
                f"{phone.name} has no {BUNDLE_ID}: build apps/ios and give it with --app"
            )


def _wait(phone: IPhone, inside: str, here: Path, seconds: float, poll_seconds: float) -> str:
    """Text of the result, once the app has renamed it into place."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if phone.copy_from(f"{inside}/{RESULT}", here / RESULT, app=BUNDLE_ID):
            return (here / RESULT).read_text("utf-8")
        if phone.copy_from(f"{inside}/{FAILURE}", here / FAILURE, app=BUNDLE_ID):
            said = " ".join((here / FAILURE).read_text("utf-8").split())
            raise ProbeError(f"the app on {phone.name} gave up: {said}")
        time.sleep(poll_seconds)
    raise ProbeError(
        f"the app on {phone.name} made no result within {seconds:.0f} seconds: keep the phone "
        "unlocked and the app in front, or probe fewer files with --format and --precision"
    )
