"""What keeps a catalog small and sound: photos forgotten, dead rows dropped, faults mended."""

from pathlib import Path

import numpy as np

from retrieval.catalog.catalog import Catalog, Rows
from retrieval.catalog.records import Space, range_below, to_bytes

_OF_NO_PHOTO = "live = 1 AND NOT EXISTS (SELECT 1 FROM photos WHERE photos.id = vectors.photo_id)"
_PRESENT = "(SELECT state = 'ready' AND gone_at IS NULL FROM photos WHERE photos.id = photo_id)"
_WRONGLY_SHOWN = f"photo_id IS NOT NULL AND live != {_PRESENT}"


def forget(catalog: Catalog, place: Path) -> int:
    """Drop a photo, or a folder and all photos below it; inside `writing`.

    Returns:
        How many photos the catalog knew there, vanished and skipped ones among them.
    """
    below = (to_bytes(place), *range_below(place))
    [(count,)] = catalog.read(
        "SELECT count(*) FROM photos WHERE path = ? OR path >= ? AND path < ?", *below
    )
    _drop_photos(catalog, "path = ? OR path >= ? AND path < ?", *below)
    catalog.write("DELETE FROM roots WHERE path = ? OR path >= ? AND path < ?", *below)
    return int(count)


def forget_vanished(catalog: Catalog) -> int:
    """Drop photos whose files have vanished; inside `writing`. Returns how many."""
    [(count,)] = catalog.read("SELECT count(*) FROM photos WHERE gone_at IS NOT NULL")
    _drop_photos(catalog, "gone_at IS NOT NULL")
    return int(count)


def _drop_photos(catalog: Catalog, condition: str, *values: object) -> None:
    catalog.write(
        "UPDATE vectors SET live = 0, photo_id = NULL "
        f"WHERE photo_id IN (SELECT id FROM photos WHERE {condition})",
        *values,
    )
    catalog.write(f"DELETE FROM photos WHERE {condition}", *values)


def live_rows(catalog: Catalog, space: Space) -> Rows:
    """Rows of a space that searches may return, in order."""
    found = catalog.read(
        "SELECT row FROM vectors WHERE space_id = ? AND live = 1 ORDER BY row", space.id
    )
    return np.fromiter((row for (row,) in found), dtype=np.int64, count=len(found))


def successor(catalog: Catalog, space: Space) -> Space:
    """A space for the same model, which takes over its living rows; inside `writing`.

    Row ``n`` of the successor is the ``n``-th living row of ``space``, which exists no more.
    Since ids are never used twice, whoever still holds the old space finds nothing in it,
    rather than photos at rows that are others' by now.
    """
    [(new,)] = catalog.read(
        "INSERT INTO spaces (fingerprint, model, source, dim, whole_at) "
        "SELECT fingerprint || ' ', model, source, dim, whole_at FROM spaces WHERE id = ? "
        "RETURNING id",
        space.id,
    )
    catalog.write(
        "INSERT INTO vectors (space_id, row, photo_id, live, moment_ms) "
        "SELECT ?, row_number() OVER (ORDER BY row) - 1, photo_id, 1, moment_ms "
        "FROM vectors WHERE space_id = ? AND live = 1",
        new,
        space.id,
    )
    catalog.write("DELETE FROM vectors WHERE space_id = ?", space.id)
    catalog.write("DELETE FROM spaces WHERE id = ?", space.id)
    catalog.write("UPDATE spaces SET fingerprint = ? WHERE id = ?", space.fingerprint, new)
    found = catalog.space(space.fingerprint)
    assert found is not None
    return found


def rows_of_no_photo(catalog: Catalog) -> int:
    """Rows that searches may return although no photo is theirs."""
    return _count(catalog, f"SELECT count(*) FROM vectors WHERE {_OF_NO_PHOTO}")


def bury_rows_of_no_photo(catalog: Catalog) -> None:
    """Take such rows out of all results; inside `writing`."""
    catalog.write(f"UPDATE vectors SET live = 0, photo_id = NULL WHERE {_OF_NO_PHOTO}")


def rows_wrongly_shown(catalog: Catalog) -> int:
    """Rows of vanished photos that are shown, and of present photos that are not."""
    return _count(catalog, f"SELECT count(*) FROM vectors WHERE {_WRONGLY_SHOWN}")


def show_rightly(catalog: Catalog) -> None:
    """Show the rows of present photos only; inside `writing`."""
    catalog.write(f"UPDATE vectors SET live = {_PRESENT} WHERE {_WRONGLY_SHOWN}")


def bury_rows(catalog: Catalog, space: Space, rows: Rows) -> None:
    """Take rows away from their photos, which then have no vector; inside `writing`.

    A video loses all of its rows, so that it is read again as a whole.
    """
    catalog.write_many(
        "UPDATE vectors SET live = 0, photo_id = NULL WHERE space_id = ?1 AND (row = ?2 OR "
        "photo_id = (SELECT photo_id FROM vectors WHERE space_id = ?1 AND row = ?2))",
        [(space.id, row) for row in rows.tolist()],
    )


def cut_rows(catalog: Catalog, space: Space, held: int) -> None:
    """Drop all rows from ``held`` on, whose vectors are lost; inside `writing`."""
    # A video of which a part is lost is read again as a whole.
    catalog.write(
        "UPDATE vectors SET live = 0, photo_id = NULL WHERE space_id = ?1 AND photo_id IN "
        "(SELECT photo_id FROM vectors WHERE space_id = ?1 AND row >= ?2)",
        space.id,
        held,
    )
    catalog.write("DELETE FROM vectors WHERE space_id = ? AND row >= ?", space.id, held)


def photos_without_vector(catalog: Catalog, space: Space) -> int:
    """Readable photos that cannot be found because ``space`` holds no vector of theirs."""
    return _count(
        catalog,
        "SELECT count(*) FROM photos WHERE state = 'ready' AND gone_at IS NULL AND NOT EXISTS "
        "(SELECT 1 FROM vectors WHERE photo_id = photos.id AND space_id = ?)",
        space.id,
    )


def _count(catalog: Catalog, statement: str, *values: object) -> int:
    return int(catalog.read(statement, *values)[0][0])
