"""A real Ray cluster of two machines' worth, on this one."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from retrieval.bulk.cluster import _QUIET
from tests.bulk.bulk_photos import fill_folder, read_elsewhere

SHARDS = 8


@pytest.fixture
def cluster(monkeypatch):
    """Two machines with a processor each."""
    for name, value in _QUIET.items():
        monkeypatch.setenv(name, value)
    # Ray lets its workers give way to everything else; beside other tests they would starve.
    monkeypatch.setenv("RAY_worker_niceness", "0")
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False},
    )
    cluster.second = cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def busy_workers(cluster):
    """Processes of the cluster that are embedding a shard right now."""
    raylets = [
        process.process.pid
        for node in cluster.list_all_nodes()
        for process in node.all_processes["raylet"]
    ]
    below = [child for pid in raylets for child in psutil.Process(pid).children(recursive=True)]
    return [child for child in below if child.cmdline()[:1] == ["ray::Map(_embed)"]]


def wait_until(true, running):
    deadline = time.monotonic() + 120
    while not true():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def done(out):
    return {path.parent.name for path in out.glob("embedding/shards/*/summary.json")}


def test_a_killed_worker_and_a_lost_machine_cost_no_shard_and_double_none(
    tmp_path, bundle, cluster, leanclip
):
    photos = fill_folder(tmp_path / "photos", 5 * SHARDS, size=1500)
    (photos / "00007.png").write_bytes(b"no photo")
    out = tmp_path / "out"
    arguments = ["embed", str(photos), "--model", str(bundle), "--shard-size", "5"]
    running = subprocess.Popen(
        [sys.executable, "-m", "retrieval.cli", *arguments, str(out), "--json"]
        + ["--ray", cluster.address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TERM": "dumb"},
        # Workers have another working folder than the command: no path may depend on it.
        cwd=Path(__file__).parents[2],
    )
    wait_until(lambda: done(out) and busy_workers(cluster), running)
    busy_workers(cluster)[0].kill()
    wait_until(lambda: len(done(out)) > 2, running)
    cluster.remove_node(cluster.second, allow_graceful=False)
    left_when_lost = SHARDS - len(done(out))
    output, error = running.communicate(timeout=240)
    assert running.returncode == 0, error
    assert left_when_lost > 0
    report = json.loads(output)
    assert (report["photos"], report["embedded"]) == (5 * SHARDS - 1, SHARDS)
    # Nothing but the bar and the photo that is none.
    rest = [line for line in error.splitlines() if line and "━" not in line]
    assert rest == [f"leanclip: skipped {photos}/00007.png: {report['skipped'][0]['why']}"]
    here = tmp_path / "here"
    assert leanclip(*arguments, here)[0] == 0
    found, expected = read_elsewhere(out), read_elsewhere(here)
    assert found.rows == expected.rows
    np.testing.assert_allclose(found.images, expected.images, atol=1e-3)
    assert found.index.ntotal == 5 * SHARDS - 1
    assert sorted(path.name for path in (out / "embedding").iterdir()) == sorted(
        path.name for path in (here / "embedding").iterdir()
    )
