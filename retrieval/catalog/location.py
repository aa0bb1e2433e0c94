"""Where the library lives on this machine."""

import os
from pathlib import Path

HOME_VARIABLE = "LEANCLIP_HOME"


def library_home(chosen: Path | None = None) -> Path:
    """Folder of the catalog and its vectors.

    Photo folders stay untouched, so they may be read-only.

    Args:
        chosen: The user's choice; else ``LEANCLIP_HOME``, else the system's folder for
            application data.
    """
    if chosen is not None:
        return chosen.expanduser()
    named = os.environ.get(HOME_VARIABLE)
    if named:
        return Path(named).expanduser()
    import platformdirs  # only needed, and only paid for, when nobody chose

    return platformdirs.user_data_path("leanclip", appauthor=False)
