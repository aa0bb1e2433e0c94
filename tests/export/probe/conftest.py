"""Devices that are programs of ours, and probes that they could have made."""

import hashlib
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from export.probe.figures import Timing
from export.probe.inputs import in_file_form
from export.probe.plan import Plan, make_plan
from export.probe.result import Device, FileResult, GoldenCheck, ProbeResult, Runtime, System
from retrieval.spec.bundle import MANIFEST, Interface, TowerFile, read_bundle
from retrieval.spec.files import sha256_file, write_json

STAND_INS = Path(__file__).parents[2] / "fixtures" / "devices"


@pytest.fixture
def bundle(exported, tmp_path):
    """A bundle of ONNX files with files that say they are LiteRT, for devices that are not
    there to load them."""
    folder = tmp_path / "bundle"
    for source in exported.rglob("*"):
        if source.is_file():
            target = folder / source.relative_to(exported)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, target)
    found = read_bundle(folder)
    files = [*found.files]
    for tower, kind, layout in (("image", "uint8", "NHWC"), ("text", "int32", None)):
        path = folder / f"litert/{tower}-fp32.tflite"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(tower.encode() * 1000)
        files.append(
            TowerFile(
                tower=tower,
                format="litert",
                precision="fp32",
                file=path.relative_to(folder).as_posix(),
                sha256=sha256_file(path),
                bytes=path.stat().st_size,
                interface=Interface(
                    input="input", output="embedding", type=kind, layout=layout, batch=1
                ),
            )
        )
    (folder / MANIFEST).unlink()
    manifest = found.model_copy(update={"files": tuple(files)})
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    return folder


@pytest.fixture
def litert_plan(bundle) -> Plan:
    return make_plan(bundle, formats=("litert",))


@pytest.fixture
def devices(tmp_path, monkeypatch):
    """Put stand-ins for adb and xcrun on the PATH; call it with what phones are like."""
    home, programs = tmp_path / "devices", tmp_path / "programs"
    home.mkdir()
    programs.mkdir()
    for name in ("adb", "xcrun"):
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {STAND_INS}/{name}.py "$@"\n')
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_DEVICES", str(home))

    def connect(**phones):
        (home / "phones.json").write_text(json.dumps(phones))
        return home

    return connect


def write_vectors(home: Path, plan: Plan, *, noise: float = 0.0) -> None:
    """What the stand-in for benchmark_model answers: the right embeddings, or near ones."""
    vectors = {}
    for entry in plan.files:
        golden = plan.golden[entry.tower]
        rows = in_file_form(golden.rows, plan.bundle.preprocessing, entry.interface)
        for row, expected in zip(rows, golden.expected, strict=True):
            other = expected + noise * np.roll(expected, 1)
            found = (other / np.linalg.norm(other)).tolist()
            vectors[hashlib.sha256(row.tobytes()).hexdigest()] = found
    (home / "vectors.json").write_text(json.dumps(vectors))


def an_answer(plan: Plan, kind: str, **changes) -> ProbeResult:
    """What a shell app would answer."""
    files = tuple(
        FileResult(
            tower=file.tower,
            format=file.format,
            precision=file.precision,
            file=file.file,
            sha256=file.sha256,
            runtime=Runtime(name="litert", version="2.3.0"),
            delegate="XNNPACK",
            threads=1,
            golden=GoldenCheck(worst_cosine=0.99995, least_cosine=0.98, passed=True),
            timing=Timing.of([2.0 + index / 100 for index in range(50)], warm_ups=10),
            peak_memory_bytes=50_000_000,
        )
        for file in plan.files
    )
    answer = ProbeResult(
        leanclip="0.1.0",
        timestamp=datetime(2026, 11, 5, 12, tzinfo=UTC),
        device=Device(kind=kind, maker="Maker", model="Model 8"),
        system=System(name="System", version="14"),
        bundle=plan.probed,
        files=files,
    )
    return answer.model_copy(update=changes)
