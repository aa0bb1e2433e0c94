"""Pruning while a stage trains: when to cut, what to cut, and how far."""
