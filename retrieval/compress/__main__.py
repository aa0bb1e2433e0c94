"""``python -m retrieval.compress RECIPE`` is ``leanclip compress RECIPE``, as torchrun starts it.

``torchrun --nproc-per-node 4 -m retrieval.compress recipe.yaml``
"""

import sys

from retrieval.cli.app import main

if __name__ == "__main__":
    main(["compress", *sys.argv[1:]])
