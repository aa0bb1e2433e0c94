"""The local search page: a person's libraries behind a small, guarded HTTP interface."""
