"""Weights with many zeros, or with eight bits each, in fewer bytes on disk."""
