"""Which photos exist, and which vectors are theirs: the truth of the search product."""
