"""Training on the grid of values that the exported model will have."""
