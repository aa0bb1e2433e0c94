"""How much each unit of a model matters: what pruning ranks by, one criterion per file."""
