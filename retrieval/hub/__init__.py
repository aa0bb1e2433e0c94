"""Models by name: the packaged one, fetched ones, and which of them is the default."""
