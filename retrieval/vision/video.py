"""Pictures out of videos: keyframes only, which are decoded without all that came before."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from retrieval.spec.errors import MissingExtraError, PhotoError
from retrieval.vision.decode import MAX_PIXELS, check_pixels, reading
from retrieval.vision.formats import VIDEO_INSTALLED

if VIDEO_INSTALLED:
    import av
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MOST_MOMENTS = 32
"""At most so many pictures stand for a video, however long it is."""
SPACING_MS = 2_000
"""Of a short video, the distance of the moments at which a keyframe is looked for."""

# Anything else may be a list of further files and addresses, which would be opened.
_CONTAINERS = "mov,matroska,webm,avi"
_BUFFER_BYTES = 1 << 18
# Thirty years: more comes from damaged headers, and might be too much for a database.
_LONGEST_MS = 10**12
# Keyframes that are damaged before the next moment is tried.
_TRIES = 3
# What no encoder names is, by convention, BT.709 in high definition.
_UNNAMED_COLOURS, _HIGH_DEFINITION = 2, 720
_WIDEST_PIXEL = 4
_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    -180: Image.Transpose.ROTATE_180,
    -90: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A picture of a video."""

    moment_ms: int
    """From the start of the video."""
    picture: Image.Image
    """Upright RGB."""


@contextmanager
def opened_video(path: Path, *, max_pixels: int = MAX_PIXELS) -> Iterator["Video"]:
    """A video for reading; sound and subtitles are ignored.

    Args:
        path: MP4, MOV, MKV, WebM or AVI.
        max_pixels: Largest width times height that is decoded.

    Raises:
        PhotoError: PyAV is not installed, or the file is missing, no video, damaged, without
            pictures, or has more than ``max_pixels``.
    """
    if not VIDEO_INSTALLED:
        raise PhotoError(str(MissingExtraError(f"{path} is a video, which", "video")))
    with reading(path) as stream, _opened(path, stream) as container:
        pictures = _pictures(container)
        if pictures is None:
            raise PhotoError(f"{path} holds no pictures, or in no format that can be read")
        check_pixels(path, (pictures.width, pictures.height), max_pixels)
        # Pictures may turn out larger than the file's header says.
        pictures.codec_context.options = {"max_pixels": str(max_pixels)}
        yield Video(container, pictures)


class Video:
    """An open video."""

    def __init__(self, container: "InputContainer", pictures: "VideoStream") -> None:
        self._container = container
        self._pictures = pictures
        self._start = pictures.start_time or 0
        decoder = pictures.codec_context
        # More threads would give a frame only after many others.
        decoder.thread_count = 1
        decoder.skip_frame = "NONKEY"

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says of itself, by lower-case key."""
        both = {**self._pictures.metadata, **self._container.metadata}
        return {key.lower(): value for key, value in both.items()}

    @property
    def duration_ms(self) -> int | None:
        """As the file says; recordings that were broken off or streamed may not."""
        if self._container.duration is not None and self._container.duration > 0:
            return min(self._container.duration // 1000, _LONGEST_MS)
        duration = self._pictures.duration
        return self._in_ms(duration) if duration is not None and duration > 0 else None

    def keyframes(self) -> Iterator[Keyframe]:
        """Pictures spread evenly over the video, at most `MOST_MOMENTS`, each once."""
        duration = self.duration_ms or self._measured_ms()
        count = min(MOST_MOMENTS, max(1, math.ceil(duration / SPACING_MS)))
        last = -1
        for number in range(count):
            frame = self._at_or_before(duration * (2 * number + 1) // (2 * count), after=last)
            if frame is not None:
                last = frame.moment_ms
                yield frame

    def picture_at(self, moment_ms: int | None = None) -> Image.Image:
        """The keyframe that shows at a moment; without one, that of a tenth of the video.

        Raises:
            ValueError: No picture there is whole.
        """
        wanted = (self.duration_ms or 0) // 10 if moment_ms is None else moment_ms
        frame = self._at_or_before(wanted)
        if frame is None:
            raise ValueError("there is no whole picture at this moment")
        return frame.picture

    def _at_or_before(self, moment_ms: int, *, after: int = -1) -> Keyframe | None:
        """The keyframe that shows at a moment, or the next whole one; None if not ``after``."""
        self._seek(moment_ms)
        tries = 0
        try:
            for packet in self._container.demux(self._pictures):
                if packet.pts is None or not packet.is_keyframe:
                    continue
                found = max(0, self._in_ms(packet.pts - self._start))
                if found <= after or tries == _TRIES:
                    return None
                tries += 1
                picture = self._decoded(packet)
                if picture is not None:
                    return Keyframe(found, picture)
        except av.FFmpegError:
            # The file is damaged or cut off here; another moment may be whole.
            return None
        return None

    def _seek(self, moment_ms: int) -> None:
        base = self._pictures.time_base
        offset = self._start + (round(moment_ms / 1000 / base) if base else 0)
        try:
            self._container.seek(offset, stream=self._pictures)
        except av.FFmpegError:
            # Without an index, what comes next in the file has to do.
            self._pictures.codec_context.flush_buffers()

    def _decoded(self, packet: "av.Packet[VideoStream]") -> Image.Image | None:
        try:
            frames = self._pictures.decode(packet) + self._pictures.decode(None)
        except av.FFmpegError:
            frames = []
        # Having been told that nothing follows, the decoder would take nothing more.
        self._pictures.codec_context.flush_buffers()
        if not frames or frames[0].is_corrupt:
            return None
        return _upright(frames[0], self._pictures)

    def _measured_ms(self) -> int:
        """How long the video is, by reading all of it."""
        last = 0
        try:
            for packet in self._container.demux(self._pictures):
                if packet.pts is not None:
                    last = max(last, packet.pts - self._start + (packet.duration or 0))
        except av.FFmpegError:
            # It ends where it is damaged.
            return self._in_ms(last)
        return self._in_ms(last)

    def _in_ms(self, ticks: int) -> int:
        base = self._pictures.time_base
        return min(int(ticks * base * 1000), _LONGEST_MS) if base else 0


def _opened(path: Path, stream: BinaryIO) -> "InputContainer":
    try:
        return av.open(
            stream,
            "r",
            options={"format_whitelist": _CONTAINERS},
            metadata_errors="replace",
            buffer_size=_BUFFER_BYTES,
        )
    except av.FFmpegError:
        # Some look like errors of the system, which those of the stream are; these are not.
        raise PhotoError(
            f"{path} is not a video that can be read, or a part of it is missing"
        ) from None


def _pictures(container: "InputContainer") -> "VideoStream | None":
    for stream in container.streams.video:
        # A song's cover is a video stream, too; and a stream may be of an unknown format.
        cover = stream.disposition & av.stream.Disposition.attached_pic
        if not cover and stream.codec_context is not None:
            return stream
    return None


def _upright(frame: "VideoFrame", pictures: "VideoStream") -> Image.Image:
    unnamed = frame.colorspace == _UNNAMED_COLOURS and frame.height >= _HIGH_DEFINITION
    stretch = pictures.sample_aspect_ratio or 1
    if not 1 / _WIDEST_PIXEL <= stretch <= _WIDEST_PIXEL:
        stretch = 1
    pixels = frame.to_ndarray(
        format="rgb24",
        width=max(1, round(frame.width * stretch)),
        height=frame.height,
        src_colorspace="ITU709" if unnamed else None,
    )
    picture = Image.fromarray(pixels)
    turn = _TURNS.get(frame.rotation)
    return picture if turn is None else picture.transpose(turn)
