"""Which rows of a space a search may return, remembered until the catalog changes."""

from collections import OrderedDict

import numpy as np

from retrieval.catalog.catalog import Catalog
from retrieval.catalog.database import Record
from retrieval.catalog.filters import PhotoFilter, rows_matching
from retrieval.catalog.records import Space
from retrieval.index.protocol import RowMask

# A byte for each row: of a million rows, 32 MB in all.
_KEPT = 32
_ALL = PhotoFilter()
# The first changes by what others commit, the second by what this connection writes.
_STATE = "SELECT data_version, total_changes() FROM pragma_data_version"


class RowMasks:
    """Masks of one catalog's rows by the filters that were asked last.

    For each filter SQLite looks through all photos, which of 100,000 takes longer than
    comparing their vectors. Whoever searches as they type asks with the same filter again and
    again, so its mask is kept until anything in the catalog changes, by another process or
    through this connection.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._state: Record = ()
        self._kept: OrderedDict[tuple[Space, PhotoFilter], RowMask] = OrderedDict()

    def allowed(self, space: Space, *filters: PhotoFilter) -> RowMask:
        """Rows ``(rows,)`` of photos that are there and fulfil all filters; the caller's own.

        Raises:
            CatalogError: The catalog is locked or damaged.
        """
        # Asked first: what is committed meanwhile makes the masks of this call old, not wrong.
        [state] = self._catalog.read(_STATE)
        if state != self._state:
            self._kept.clear()
            self._state = state
        allowed = self._mask(space, _ALL).copy()
        for wanted in filters:
            if wanted:
                allowed &= self._mask(space, wanted)
        return allowed

    def _mask(self, space: Space, wanted: PhotoFilter) -> RowMask:
        key = (space, wanted)
        if key not in self._kept:
            self._kept[key] = self._made(space, wanted)
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _made(self, space: Space, wanted: PhotoFilter) -> RowMask:
        if wanted:
            mask = np.zeros(len(self._mask(space, _ALL)), np.bool_)
            rows, value = rows_matching(wanted, self._catalog, space), True
        else:
            mask = np.ones(self._catalog.row_count(space), np.bool_)
            rows, value = self._catalog.excluded_rows(space), False
        # Another process may have committed more rows since they were counted.
        mask[rows[rows < len(mask)]] = value
        return mask
