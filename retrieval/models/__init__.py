"""Torch towers, the dual encoder that joins them, and its checkpoints."""
