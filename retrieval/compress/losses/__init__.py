"""Losses, one per file, as functions of embeddings or of cosines."""
