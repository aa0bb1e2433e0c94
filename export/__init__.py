"""Conversion of checkpoints to bundles that devices read."""
