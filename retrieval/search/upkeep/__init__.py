"""Keeping a library small and sound: compaction, checks, repairs."""
