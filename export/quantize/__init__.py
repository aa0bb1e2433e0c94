"""Smaller weights, one module for each format."""
