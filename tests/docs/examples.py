"""The Python of a page, run as it stands."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def run_example(page: Path, source: str, **given: Any) -> dict[str, Any]:
    """The names that a block defines, as if it were a module of its own.

    Args:
        page: Where it stands.
        source: The block.
        given: Names that it may use without defining them.
    """
    module = ModuleType(f"example_{page.stem.replace('-', '_')}")
    vars(module).update(given)
    sys.modules[module.__name__] = module  # pydantic looks annotations up there
    exec(compile(source, str(page), "exec"), vars(module))
    return vars(module)
