"""Indexing folders of photos and answering queries."""
