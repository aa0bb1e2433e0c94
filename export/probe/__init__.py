"""Latency of a bundle's files on real devices, in one form for all of them."""
