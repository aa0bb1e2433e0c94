"""Vectors on disk, and the search for the nearest of them."""
