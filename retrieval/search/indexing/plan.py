"""What an indexing run has to do, from what lies in a folder and what is known of it."""

from dataclasses import dataclass, field
from pathlib import Path

from retrieval.catalog.records import KnownPhoto, PhotoFile, range_below, to_bytes
from retrieval.search.scan import Scan


@dataclass(slots=True)
class Plan:
    """Work for one run."""

    read: list[PhotoFile] = field(default_factory=list)
    """Files that have no vector yet, or a vector of earlier content."""
    changed: set[Path] = field(default_factory=set)
    """Those of them that were known with other content."""
    restore: list[int] = field(default_factory=list)
    """Photos that had vanished and are back."""
    gone: list[int] = field(default_factory=list)
    """Photos whose files have vanished."""
    unchanged: int = 0


def planned(scan: Scan, known: dict[bytes, KnownPhoto]) -> Plan:
    """Compare a folder with what is known of it.

    Args:
        scan: What lies there.
        known: What the catalog holds of the same place, by stored path.
    """
    plan = Plan()
    missing = dict(known)
    for file in scan.files:
        photo = missing.pop(to_bytes(file.path), None)
        if photo is None:
            plan.read.append(file)
        elif not photo.is_same_as(file):
            plan.read.append(file)
            plan.changed.add(file.path)
        else:
            if photo.gone:
                plan.restore.append(photo.id)
            if photo.has_vector:
                plan.unchanged += 1
            elif photo.state != "damaged":
                plan.read.append(file)
    hidden = [range_below(path) for path, _ in scan.unreadable]
    names = {to_bytes(path) for path, _ in scan.unreadable}
    for path, photo in missing.items():
        # What cannot be looked at has not vanished: a folder may be locked for a while.
        out_of_sight = path in names or any(low <= path < high for low, high in hidden)
        if not photo.gone and not out_of_sight:
            plan.gone.append(photo.id)
    return plan
