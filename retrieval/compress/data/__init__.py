"""Batches of photos and sentences in an order that a seed decides."""
