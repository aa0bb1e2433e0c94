"""Several processes that train one model; alone, every function here costs nothing.

Each process embeds its part of every batch, all see the embeddings of the whole batch, and so
the losses are those of one process (`gather`). What is decided, drawn or written is decided by
the first process, or follows from what all have in common (`ranks`).
"""
