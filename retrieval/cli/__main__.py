"""``python -m retrieval.cli`` is ``leanclip``."""

from retrieval.cli.app import main

main()
