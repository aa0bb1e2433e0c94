"""Proof that a converted model still does what the original did."""
