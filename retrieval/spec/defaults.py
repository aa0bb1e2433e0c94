"""What is taken where nothing else is said, by functions and recipes as by commands.

Help shows these values and must come at once, so this module imports nothing.
"""

from typing import Final

BATCH_SIZE: Final = 32
"""Photos or sentences that a model takes at a time."""
CACHE_SHARD_SIZE: Final = 4096
"""Rows of one shard of a teacher cache: what a killed run may have to embed again."""
BULK_SHARD_SIZE: Final = 10_000
"""Photos of a folder in one shard of what ``leanclip embed`` writes."""
HOST: Final = "host"
"""The target of measurements that is this machine."""
UNKNOWN_LICENCE: Final = "unknown"
"""Terms of weights of which nobody has said them."""
TOLERANCE: Final = 0.5
"""Points of recall@10 that recommended files may lose, either way."""
NEAR_DUPLICATE: Final = 0.90
"""Cosine from which two photos count as nearly the same; measured for the default model by
data/benchmarks/near_duplicates.py."""
LABEL_TEMPLATE: Final = "a photo of {}"
"""What a label is put into before it is embedded: models learned from sentences."""
