import csv
import json
import re
from datetime import UTC, datetime

import pytest

from export.probe.figures import SustainedRun, Timing
from export.probe.files import write_probe
from export.probe.result import (
    Device,
    FileResult,
    GoldenCheck,
    ProbedBundle,
    ProbeResult,
    Runtime,
    System,
)


def a_file(tower, *, times=None, **changes):
    passed = times is not None
    given = {
        "tower": tower,
        "format": "litert",
        "precision": "int8",
        "file": f"litert/{tower}-int8.tflite",
        "sha256": "0" * 64,
        "runtime": Runtime(name="litert", version="2.3.0"),
        "delegate": "XNNPACK",
        "threads": 1,
        "golden": GoldenCheck(
            worst_cosine=0.9912 if passed else 0.5, least_cosine=0.98, passed=passed
        ),
        "timing": Timing.of(times, warm_ups=10) if passed else None,
        "reason": None if passed else "no latency, since <its> golden check failed",
        "peak_memory_bytes": 50_000_000 if passed else None,
    }
    return FileResult(**given | changes)


@pytest.fixture
def probes(tmp_path):
    """A phone that ran both towers, and a browser where one failed."""
    run = SustainedRun.of([(0.0, 4.0), (16.0, 5.0)])
    phone = (
        a_file("image", times=[4.0] * 40 + [6.0] * 20, sustained=run, thermal_after="light"),
        a_file("text", times=[1.5] * 60),
    )
    browser = (a_file("image", times=[9.0] * 60), a_file("text"))
    paths = []
    for kind, name, files in (("android", "Model <8>", phone), ("browser", "x86", browser)):
        probe = ProbeResult(
            leanclip="0.1.0",
            timestamp=datetime(2026, 11, 5, 12, tzinfo=UTC),
            device=Device(kind=kind, model=name),
            system=System(name="Android", version="14"),
            bundle=ProbedBundle(name="small", fingerprint="f"),
            files=files,
        )
        paths.append(tmp_path / f"{kind}.json")
        write_probe(paths[-1], probe)
    return paths


def test_probes_become_one_csv(leanclip, probes):
    status, output, _ = leanclip("report", *probes)
    rows = list(csv.DictReader(output.splitlines()))
    assert status == 0
    assert [(row["device"], row["tower"], row["p50_ms"]) for row in rows] == [
        ("Model <8>", "image", "4.0"),
        ("Model <8>", "text", "1.5"),
        ("x86", "image", "9.0"),
        ("x86", "text", ""),
    ]
    assert (rows[0]["p90_ms"], rows[0]["slow_down"], rows[0]["thermal_after"]) == (
        "6.0",
        "1.25",
        "light",
    )
    assert (rows[3]["golden_cosine"], rows[3]["peak_memory_bytes"]) == ("0.5", "")
    assert "golden check failed" in rows[3]["reason"]


def test_the_page_holds_all_and_loads_nothing(leanclip, probes, tmp_path):
    out = tmp_path / "report.html"
    status, output, _ = leanclip("report", *probes, "--out", out)
    assert status == 0
    assert output.splitlines() == [str(out), str(out.with_suffix(".csv"))]
    page = out.read_text("utf-8")
    assert page.count("<svg") == page.count("</svg>") == 1
    assert page.count("<tr>") == 1 + 4
    assert "Model &lt;8&gt;" in page and "&lt;its&gt; golden check" in page
    assert "Model <8>" not in page
    # Names of XML vocabularies are not fetched; nothing else may point anywhere.
    links = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\'\s)>]+)', page)
    assert all(link.startswith("#") for link in links)
    leanclip("report", *probes, "--out", tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text("utf-8") == page


def test_a_report_of_failures_only_is_a_table_without_a_plot(leanclip, probes, tmp_path):
    value = json.loads(probes[1].read_text())
    value["files"] = value["files"][1:]
    probes[1].write_text(json.dumps(value))
    status, _, _ = leanclip("report", probes[1], "--out", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert status == 0
    assert "<svg" not in page and page.count("<tr>") == 1 + 1


def test_a_table_alone_is_written_as_csv(leanclip, probes, tmp_path):
    assert leanclip("report", *probes, "--out", tmp_path / "table.csv")[0] == 0
    assert (tmp_path / "table.csv").read_text().count("\n") == 1 + 4


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.json", None, "none.json: No such file"),
        ("bad.json", b"[1]", "bad.json is no probe: it has no schema_version"),
        ("bad.json", b"\xff\xfe", "bad.json is no probe: it is not text"),
        ("bad.json", b'{"schema_version": 1}', "bad.json: leanclip: Field required"),
    ],
)
def test_one_bad_probe_and_nothing_is_written(leanclip, probes, tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    out = tmp_path / "report.html"
    status, output, errors = leanclip("report", *probes, tmp_path / name, "--out", out)
    assert (status, output) == (1, "")
    assert said in errors and len(errors.splitlines()) == 1
    assert not out.exists() and not out.with_suffix(".csv").exists()


def test_another_kind_of_file_is_refused(leanclip, probes, tmp_path):
    status, _, errors = leanclip("report", *probes, "--out", tmp_path / "report.pdf")
    assert status == 1
    assert "ends neither in .html nor in .csv" in errors
