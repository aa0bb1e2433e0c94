"""Days and moments as people write them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def day(taken_at: int) -> str:
    """Wall-clock seconds since 1970 as ``2023-05-17``; before 1970 too, on every system."""
    return f"{_EPOCH + timedelta(seconds=taken_at):%Y-%m-%d}"


def clock(moment_ms: int) -> str:
    """Milliseconds from the start of a video as ``1:02:03`` or ``2:03``."""
    minutes, seconds = divmod(moment_ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
