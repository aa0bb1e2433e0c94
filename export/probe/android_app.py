"""Probing an Android phone with the shell app."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from export.probe.adb import Phone
from export.probe.files import parse_probe
from export.probe.job import FAILURE, RESULT, check_answer, new_run, seconds_allowed, stage_job
from export.probe.plan import Plan
from export.probe.result import ProbeResult
from retrieval.spec.errors import ProbeError

PACKAGE = "org.leanclip.app"
ACTIVITY = f"{PACKAGE}/.ProbeActivity"
EXTRA_RUN = "run"
"""String extra of the intent: the job's folder, in ``files/probe`` of the app."""

_POLL_SECONDS = 1.0


def probe_with_app(
    plan: Plan,
    phone: Phone,
    *,
    app: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
    poll_seconds: float = _POLL_SECONDS,
) -> ProbeResult:
    """Let the app on the phone make the probe; leaves nothing behind but the app.

    Args:
        plan: What to run.
        phone: Where.
        app: An ``.apk`` to install first; None if it is there.
        tell: Told what is being done.
        poll_seconds: Between two looks for the result.

    Raises:
        ProbeError: The app is missing, not debuggable, stops or answers something else; or
            the phone is full or gone.
    """
    run = new_run()
    if app is not None:
        tell(f"installing {app.name}")
        _install(phone, app)
    _check_installed(phone)
    inside = PurePosixPath("files/probe") / run
    with phone.folder(run) as shared, tempfile.TemporaryDirectory() as staging:
        folder = Path(staging) / run
        stage_job(plan, run, folder)
        tell(f"copying {len(plan.files)} files to {phone.serial}")
        for part in sorted(folder.iterdir()):
            phone.push(part, shared / part.name)
        # What the shell user makes is its own on some phones; the app has to read it.
        phone.shell("chmod", "-R", "a+rX", str(shared))
        try:
            _as_app(phone, "mkdir", "-p", str(inside.parent))
            _as_app(phone, "cp", "-r", str(shared), str(inside.parent))
            tell(f"probing on {phone.serial}")
            _start(phone, run)
            text = _wait(phone, inside, seconds_allowed(plan), poll_seconds)
        finally:
            _clean(phone, inside)
    result = parse_probe(text, origin=f"the app's answer on phone {phone.serial}")
    return check_answer(plan, result, "android")


def _install(phone: Phone, app: Path) -> None:
    if not app.is_file():
        raise ProbeError(f"there is no app at {app}: build apps/android first")
    answer = phone.adb("install", "-r", "-t", str(app), seconds=600)
    if answer.status != 0 or "Success" not in answer.text:
        raise ProbeError(f"phone {phone.serial} does not install {app.name}: {answer.said}")


def _check_installed(phone: Phone) -> None:
    if not phone.shell("pm", "path", PACKAGE).text.startswith("package:"):
        raise ProbeError(
            f"phone {phone.serial} has no {PACKAGE}: build apps/android and give it with --app, "
            "or time LiteRT files with --binary benchmark_model"
        )


def _as_app(phone: Phone, *words: str) -> str:
    answer = phone.shell("run-as", PACKAGE, *words)
    if answer.status == 0:
        return answer.text
    if "not debuggable" in answer.errors + answer.text:
        raise ProbeError(
            f"{PACKAGE} on phone {phone.serial} is no debug build, so nobody may read its files: "
            "install the debug build with --app"
        )
    if "No space left on device" in answer.errors + answer.text:
        raise ProbeError(f"phone {phone.serial} is full; free some space on it and probe again")
    raise ProbeError(f"phone {phone.serial}: {words[0]} failed in {PACKAGE}: {answer.said}")


def _start(phone: Phone, run: str) -> None:
    answer = phone.shell("am", "start", "-W", "-S", "-n", ACTIVITY, "--es", EXTRA_RUN, run)
    # am answers 0 even where it starts nothing.
    if answer.status != 0 or "Error" in answer.text + answer.errors:
        raise ProbeError(
            f"phone {phone.serial} cannot start {ACTIVITY} ({answer.said}): install the app of "
            "this version of leanclip with --app"
        )


def _wait(phone: Phone, inside: PurePosixPath, seconds: float, poll_seconds: float) -> str:
    """Text of the result, once the app has renamed it into place."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        # Looked at first: an app that has ended may have left its result just before.
        runs = phone.shell("pidof", PACKAGE).text.strip()
        files = _as_app(phone, "ls", str(inside)).split()
        if RESULT in files:
            return _as_app(phone, "cat", str(inside / RESULT))
        if FAILURE in files:
            said = " ".join(_as_app(phone, "cat", str(inside / FAILURE)).split())
            raise ProbeError(f"the app on phone {phone.serial} gave up: {said}")
        if not runs:
            raise ProbeError(
                f"the app on phone {phone.serial} stopped without a result: keep it in front, "
                f"or read why with adb -s {phone.serial} logcat -d"
            )
        time.sleep(poll_seconds)
    raise ProbeError(
        f"the app on phone {phone.serial} made no result within {seconds:.0f} seconds: keep the "
        "phone unlocked, or probe fewer files with --format and --precision"
    )


def _clean(phone: Phone, inside: PurePosixPath) -> None:
    try:
        phone.shell("am", "force-stop", PACKAGE)
        phone.shell("run-as", PACKAGE, "rm", "-rf", str(inside))
    except ProbeError:
        # The phone is gone: what went wrong first is the error to report.
        return
