"""Single photos and downloads: everything here goes from an id to a file of the catalog."""

from collections.abc import Iterator
from datetime import datetime
from mimetypes import guess_type
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from retrieval.web.api.common import KEY, ChosenLibrary, ChosenPhoto, ServedNow, refusals
from retrieval.web.collection import Collection
from retrieval.web.models import PhotoDetails, Selection, WantedPhotos
from retrieval.web.names import attachment, readable
from retrieval.web.photos import CataloguedPhoto, photo_by_id, photos_by_id
from retrieval.web.thumbnails import CONTENT_TYPE, Size
from retrieval.web.zips import zipped

router = APIRouter(prefix="/api/libraries/{library}", tags=["photos"])
_CHUNK = 1 << 18
# The page asks for another address when the file changes.
_KEPT_BY_BROWSERS = "private, max-age=31536000, immutable"
_UNKNOWN = "application/octet-stream"


@router.get("/photos/{photo}", responses=refusals(404, 503))
async def details(library: ChosenLibrary, photo: ChosenPhoto) -> PhotoDetails:
    """Everything that is known of a photo."""
    found = await _photo(library, photo)
    return await run_in_threadpool(PhotoDetails.of, found)


@router.get(
    "/photos/{photo}/thumbnails/{size}",
    response_class=Response,
    responses={**refusals(404, 503), 200: {"content": {CONTENT_TYPE: {}}}},
)
async def thumbnail(
    request: Request,
    library: ChosenLibrary,
    photo: ChosenPhoto,
    size: Size,
    v: Annotated[str, Query(max_length=40, description="The photo's `version`.")] = "",
) -> Response:
    """A photo made small: 240 or 480 pixels high, or at most 2048 pixels wide and high.

    With its version, browsers keep it and ask no more.
    """
    found = await _photo(library, photo)
    etag = f'"{found.version}-{size}"'
    kept = _KEPT_BY_BROWSERS if v == found.version else "no-cache"
    headers = {"Cache-Control": kept, "ETag": etag}
    content = await library.thumbnails.get(found, size)
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=CONTENT_TYPE, headers=headers)


@router.get(
    "/photos/{photo}/file",
    response_class=StreamingResponse,
    responses={**refusals(404, 503), 200: {"content": {_UNKNOWN: {}}}},
)
async def original(library: ChosenLibrary, photo: ChosenPhoto) -> StreamingResponse:
    """The file itself, to be saved."""
    found = await _photo(library, photo)
    stream = await run_in_threadpool(found.open)
    kind = guess_type(f"photo{found.path.suffix.lower()}")[0] or _UNKNOWN
    headers = {
        "Content-Length": str(found.size),
        "Content-Disposition": attachment(readable(found.path.name)),
    }
    # Only what is a picture to the browser may call itself something.
    if not kind.startswith(("image/", "video/")) or kind == "image/svg+xml":
        kind = _UNKNOWN
    return StreamingResponse(_pieces(stream, found.size), media_type=kind, headers=headers)


@router.post("/selections", status_code=201, responses=refusals(400, 404, 413, 503))
async def select(library: ChosenLibrary, now: ServedNow, wanted: WantedPhotos) -> Selection:
    """Choose photos to download as one file."""
    ids = list(dict.fromkeys(wanted.photos))
    known = await library.look_up.run(lambda lookups: photos_by_id(lookups.catalog, ids))
    photos = [known[one] for one in ids if one in known]
    size = sum(photo.size for photo in photos)
    return Selection(selection=now.select(photos), photos=len(photos), bytes=size)


@router.get(
    "/selections/{selection}.zip",
    response_class=StreamingResponse,
    responses={**refusals(404), 200: {"content": {"application/zip": {}}}},
)
async def download(
    library: ChosenLibrary,
    now: ServedNow,
    selection: Annotated[str, Path(pattern=KEY, examples=["hT0cV6x2bJq1sW9e_RkLpA"])],
) -> StreamingResponse:
    """Chosen photos as a zip, sent while it is made."""
    photos = now.selection(selection)
    name = f"{library.name} {datetime.now():%Y-%m-%d %H.%M}.zip"
    headers = {"Content-Disposition": attachment(name)}
    return StreamingResponse(zipped(photos), media_type="application/zip", headers=headers)


async def _photo(library: Collection, photo: int) -> CataloguedPhoto:
    return await library.look_up.run(lambda lookups: photo_by_id(lookups.catalog, photo))


def _pieces(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """Exactly the bytes that were announced, even if the file grows meanwhile."""
    with stream:
        while size and (piece := stream.read(min(_CHUNK, size))):
            size -= len(piece)
            yield piece
