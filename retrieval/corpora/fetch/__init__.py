"""Public data sets: where they come from, their terms, and how they become captioned photos."""
