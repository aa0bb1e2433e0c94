"""Making small models: teacher caches, starts, losses, stages and recipes."""
