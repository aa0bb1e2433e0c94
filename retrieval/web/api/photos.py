"""Single photos and downloads: everything here goes from an id to a file of the catalog."""

from datetime import datetime
from mimetypes import guess_type
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from retrieval.spec.readable import readable
from retrieval.web.api.common import KEY, ChosenLibrary, ChosenPhoto, ServedNow, refusals
from retrieval.web.collection import Collection
from retrieval.web.facets import Lookups
from retrieval.web.models import PhotoDetails, Selection, WantedPhotos
from retrieval.web.names import attachment
from retrieval.web.photos import CataloguedPhoto, check_moment, photo_by_id, photos_by_id
from retrieval.web.ranges import asked_range, pieces
from retrieval.web.thumbnails import CONTENT_TYPE, Size
from retrieval.web.zips import zipped

router = APIRouter(prefix="/api/libraries/{library}", tags=["photos"])
# The page asks for another address when the file changes.
_KEPT_BY_BROWSERS = "private, max-age=31536000, immutable"
_UNKNOWN = "application/octet-stream"
# Not every system knows them.
_KINDS = {".m4v": "video/mp4", ".mkv": "video/x-matroska", ".webm": "video/webm"}
_LATEST_MS = 10**12


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
    moment: Annotated[
        int | None,
        Query(ge=0, le=_LATEST_MS, description="Of a video: the `moment_ms` that was found."),
    ] = None,
) -> Response:
    """A photo made small: 240 or 480 pixels high, or at most 2048 pixels wide and high.

    With its version, browsers keep it and ask no more. Without a moment, a picture from a
    tenth of a video stands for it.
    """
    found = await _photo(library, photo, moment)
    etag = f'"{found.version}-{size}{"" if moment is None else f"-{moment}"}"'
    kept = _KEPT_BY_BROWSERS if v == found.version else "no-cache"
    headers = {"Cache-Control": kept, "ETag": etag}
    content = await library.thumbnails.get(found, size, moment)
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=CONTENT_TYPE, headers=headers)


@router.get(
    "/photos/{photo}/file",
    response_class=StreamingResponse,
    responses={
        **refusals(404, 416, 503),
        200: {"content": {_UNKNOWN: {}}},
        206: {"description": "The part that was asked for.", "content": {_UNKNOWN: {}}},
    },
)
async def original(
    library: ChosenLibrary,
    photo: ChosenPhoto,
    wanted: Annotated[
        str | None,
        Header(alias="Range", description="Of one part, for players.", examples=["bytes=0-1023"]),
    ] = None,
    known: Annotated[
        str | None, Header(alias="If-Range", description="The `ETag` of an earlier part.")
    ] = None,
) -> StreamingResponse:
    """The file itself, to be saved; or a part of it, for a video that is played."""
    found = await _photo(library, photo)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": attachment(readable(found.path.name)),
        "ETag": f'"{found.version}"',
    }
    part = asked_range(wanted, found.size) if known in (None, headers["ETag"]) else None
    if part is not None:
        span = f"{part.start}-{part.stop - 1}" if part else "*"
        headers["Content-Range"] = f"bytes {span}/{found.size}"
        if not part:
            raise HTTPException(416, "the file has no such part", headers)
    served = range(found.size) if part is None else part
    stream = await run_in_threadpool(found.open)
    return StreamingResponse(
        pieces(stream, served),
        status_code=200 if part is None else 206,
        media_type=_kind(found),
        headers={**headers, "Content-Length": str(len(served))},
    )


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


async def _photo(library: Collection, photo: int, moment_ms: int | None = None) -> CataloguedPhoto:
    def look_up(lookups: Lookups) -> CataloguedPhoto:
        if moment_ms is not None:
            check_moment(lookups.catalog, photo, moment_ms)
        return photo_by_id(lookups.catalog, photo)

    return await library.look_up.run(look_up)


def _kind(photo: CataloguedPhoto) -> str:
    suffix = photo.path.suffix.lower()
    kind = _KINDS.get(suffix) or guess_type(f"photo{suffix}")[0] or _UNKNOWN
    # Only what is a picture to the browser may call itself something.
    if not kind.startswith(("image/", "video/")) or kind == "image/svg+xml":
        return _UNKNOWN
    return kind
