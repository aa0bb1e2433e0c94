"""``python -m retrieval.compress RECIPE`` is ``leanclip compress RECIPE``, as torchrun starts it.

``torchrun --nproc-per-node 4 -m retrieval.compress recipe.yaml``
"""

import os
import sys

from retrieval.cli.app import main

if __name__ == "__main__":
    # DDP's advice for developers would come once from each process; torch reads this when it
    # is imported.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    main(["compress", *sys.argv[1:]])
