"""Embedding by the million: shards of photos into the folder layout of clip-retrieval.

A plan says once which photo belongs to which shard. Each shard is embedded on its own, here or
on some machine of a Ray cluster, and comes into its place as a whole; FAISS indexes are made of
the shards at the end. Stopped anywhere, the next run does what is missing.
"""
