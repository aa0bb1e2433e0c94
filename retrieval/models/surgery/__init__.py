"""Taking units (heads, neurons, channels, layers, widths) out of a model for good."""
