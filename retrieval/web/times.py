"""Dates as the catalog keeps them, and as the page shows them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def clock_time(seconds: int, *, is_local: bool = False) -> str:
    """A wall-clock time as ``2024-06-01T18:30:00``.

    Args:
        seconds: Since 1970 on that wall clock; cut to the years 1 to 9999.
        is_local: ``seconds`` are true ones, to be shown on this machine's clock.
    """
    try:
        if is_local:
            moment = datetime.fromtimestamp(seconds)
        else:
            moment = _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError, OSError):
        moment = datetime.max if seconds > 0 else datetime.min
    return moment.replace(tzinfo=None, microsecond=0).isoformat()
