"""What a video says of itself, in the words of phones and cameras."""

import calendar
import re
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from retrieval.vision.details import FileDetails, camera_name
from retrieval.vision.video import opened_video

# ISO 6709 in decimal degrees, as phones write it: +59.9100+010.7500/
_PLACE = re.compile(r"([+-]\d{1,2}(?:\.\d+)?)([+-]\d{1,3}(?:\.\d+)?)(?![\d.])")
# A clock that was never set says 1904 or 1970.
_FIRST_YEAR = 1971


def read_video_details(path: Path) -> FileDetails:
    """Size, date, camera, place and length of a video.

    Raises:
        PhotoError: It cannot be opened, or no picture can be decoded.
    """
    with opened_video(path) as video:
        said = video.metadata
        # Which side of the video is up is only known of its pictures.
        picture = video.picture_at()
        duration = video.duration_ms
    latitude, longitude = _place(said)
    return FileDetails(
        width=picture.width,
        height=picture.height,
        taken_at=_taken_at(said),
        camera=camera_name(
            _first(said, "com.apple.quicktime.make", "com.android.manufacturer", "make"),
            _first(said, "com.apple.quicktime.model", "com.android.model", "model"),
        ),
        latitude=latitude,
        longitude=longitude,
        duration_ms=duration,
    )


def _first(said: Mapping[str, str], *keys: str) -> str:
    return next((said[key] for key in keys if said.get(key)), "")


def _taken_at(said: Mapping[str, str]) -> int | None:
    """What a clock on the wall showed, where the video was taken if it says so, else here."""
    for text in _texts(said, "com.apple.quicktime.creationdate", "creation_time", "date"):
        try:
            moment = datetime.fromisoformat(text)
            here = time.localtime(moment.timestamp())
        except (ValueError, OverflowError, OSError):
            # No date, or one that this system cannot count.
            continue
        if moment.year >= _FIRST_YEAR:
            return calendar.timegm(here if text.endswith("Z") else moment.timetuple())
    return None


def _texts(said: Mapping[str, str], *keys: str) -> Iterable[str]:
    return (said[key].strip() for key in keys if key in said)


def _place(said: Mapping[str, str]) -> tuple[float, float] | tuple[None, None]:
    for text in _texts(said, "com.apple.quicktime.location.iso6709", "location"):
        found = _PLACE.match(text)
        if found is None:
            continue
        latitude, longitude = map(float, found.groups())
        if abs(latitude) <= 90 and abs(longitude) <= 180 and (latitude or longitude):
            return latitude, longitude
    return None, None
