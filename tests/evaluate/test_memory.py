"""What the system counts of this process."""

import sys

import numpy as np
import pytest

from retrieval.evaluate.memory import peak_memory, resident_memory


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell less")
def test_a_large_array_is_seen_and_remembered():
    before = resident_memory()
    held = np.ones(8_000_000)
    size = held.nbytes
    grown = resident_memory()
    assert grown - before > 0.9 * size
    del held
    # The kernel counts each in its own way, some pages apart.
    assert peak_memory() - before > 0.9 * size
