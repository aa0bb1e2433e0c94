"""What the system counts of this process."""

import mmap
import sys

import pytest

from retrieval.evaluate.memory import peak_memory, resident_memory

# Room that the allocator kept from earlier tests would be used again, unseen; a map is always new.
_BYTES = 64_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell less")
def test_a_large_array_is_seen_and_remembered():
    before = resident_memory()
    with mmap.mmap(-1, _BYTES) as held:
        held.write(b"\1" * _BYTES)
        grown = resident_memory()
    assert grown - before > 0.9 * _BYTES
    # The kernel counts each in its own way, some pages apart.
    assert peak_memory() - before > 0.9 * _BYTES
    assert resident_memory() < grown - 0.5 * _BYTES
