"""The Android app's core, compiled by javac and asked over a pipe."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CORE = Path(__file__).parents[3] / "apps/android/core/src/main"
SERVER = Path(__file__).with_name("CoreServer.java")
MISSING = "the Android core's tests need a JDK: apt-get install openjdk-17-jdk-headless"

Reply = Callable[[dict[str, Any]], dict[str, Any]]


class RefusedError(Exception):
    """The core refused a bundle; its text is what the app would show."""


class Core:
    """A running `CoreServer`.

    ``reply`` answers what the core asks back: to decode a photo, to load or to run a tower.
    """

    def __init__(self, classes: Path) -> None:
        self.reply: Reply = no_reply
        self._process = subprocess.Popen(
            [jdk("java"), "-Xshare:auto", "-cp", str(classes), "org.leanclip.core.CoreServer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="ascii",
        )

    def __call__(self, what: str, **values: Any) -> Any:
        """The answer to one question.

        Raises:
            RefusedError: The bundle or the job is no good.
        """
        self._say({"do": what, **values})
        while "ask" in (line := self._heard()):
            self._say(self.reply(line))
        if "refused" in line:
            raise RefusedError(line["refused"])
        if "error" in line:
            raise AssertionError(line["error"])
        return line["answer"]

    def close(self) -> None:
        self._process.communicate()

    def _say(self, value: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value, default=_plain) + "\n")
        self._process.stdin.flush()

    def _heard(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the core ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


def compile_core(classes: Path) -> Path:
    """Compile for Java 8, whose library is what Android 8 has; warnings are errors."""
    sources = sorted((CORE / "java").rglob("*.java"))
    subprocess.run(
        [jdk("javac"), "--release", "8", "-Xlint:all,-options", "-Werror", "-encoding", "ascii"]
        + ["-d", str(classes), *map(str, sources), str(SERVER)],
        check=True,
    )
    shutil.copytree(CORE / "resources", classes, dirs_exist_ok=True)
    return classes


def jdk(tool: str) -> str:
    path = shutil.which(tool)
    assert path is not None, MISSING
    return path


def argb(image: Image.Image) -> dict[str, Any]:
    """A photo as the core is given one: 8 bits of alpha, red, green and blue a pixel."""
    rgba = np.asarray(image.convert("RGBA"))
    data = np.ascontiguousarray(rgba[..., [3, 0, 1, 2]]).tobytes()
    return {"width": image.width, "height": image.height, "argb": encoded(data)}


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _plain(value: Any) -> Any:
    return value.tolist()


def no_reply(question: dict[str, Any]) -> dict[str, Any]:
    raise AssertionError(f"nobody answers {question['ask']}")
