"""Bringing the catalog up to date with folders of photos."""

from retrieval.search.indexing.folder import index_folder
from retrieval.search.indexing.pipeline import BATCH
from retrieval.search.indexing.report import IndexProgress, IndexReport, Progress

__all__ = ["BATCH", "IndexProgress", "IndexReport", "Progress", "index_folder"]
