"""The folders that were named to be indexed, as the catalog remembers them."""

import time
from pathlib import Path

from retrieval.catalog.database import Database
from retrieval.catalog.records import FolderCount, KnownRoot, range_below, to_bytes, to_path


class Roots(Database):
    """The part of the catalog that knows which folders are indexed, and by which rules."""

    def record_root(self, folder: Path, rules: str = "{}") -> None:
        """Remember ``folder`` and its rules; folders below it become part of it.

        A folder that lies in a known one is that one's, and not recorded.

        Args:
            folder: Absolute.
            rules: JSON, in place of those known before.
        """
        stored = to_bytes(folder)
        with self.writing():
            for root in self.roots():
                if root.path == folder and root.rules == rules:
                    return
                low, high = range_below(root.path)
                if low <= stored < high:
                    return
            self.write("DELETE FROM roots WHERE path >= ? AND path < ?", *range_below(folder))
            self.write(
                "INSERT INTO roots (path, indexed_at, rules) VALUES (?, 0, ?) "
                "ON CONFLICT (path) DO UPDATE SET rules = excluded.rules",
                stored,
                rules,
            )

    def mark_root_read(self, folder: Path) -> None:
        """Remember that ``folder`` was read to its end just now."""
        with self.writing():
            self.write(
                "UPDATE roots SET indexed_at = ? WHERE path = ?",
                int(time.time()),
                to_bytes(folder),
            )

    def roots(self) -> list[KnownRoot]:
        """Every indexed folder, in the order of their paths."""
        found = self.read("SELECT path, indexed_at, rules FROM roots ORDER BY path")
        return [KnownRoot(to_path(path), indexed_at, rules) for path, indexed_at, rules in found]

    def folders(self) -> list[FolderCount]:
        """Every indexed folder with its counts."""
        counted = []
        for root in self.roots():
            ready, videos, skipped = self.read(
                "SELECT count(*) FILTER (WHERE state = 'ready'), "
                "count(*) FILTER (WHERE state = 'ready' AND duration_ms IS NOT NULL), "
                "count(*) FILTER (WHERE state != 'ready') FROM photos "
                "WHERE gone_at IS NULL AND path >= ? AND path < ?",
                *range_below(root.path),
            )[0]
            counted.append(
                FolderCount(root.path, root.indexed_at, ready, skipped, root.rules, videos)
            )
        return counted
