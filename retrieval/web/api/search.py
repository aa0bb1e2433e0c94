"""Searching: in words, by a photo of the library, by an uploaded one, or only by filters."""

from datetime import date
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from retrieval.catalog.filters import PhotoFilter
from retrieval.search.query.places import NEAR_KM, box_around
from retrieval.web.api.common import KEY, ChosenLibrary, refusals
from retrieval.web.asking import Asked, by_example, in_words, midnight
from retrieval.web.collection import Collection
from retrieval.web.models import Example, FolderId, PhotoId, Photos
from retrieval.web.photos import checked_path

router = APIRouter(prefix="/api/libraries/{library}", tags=["search"])
_LONGEST = 1000
_MOST = 200


async def chosen_filter(
    library: ChosenLibrary,
    folder: Annotated[FolderId | None, Query(description="Below this folder.")] = None,
    after: Annotated[
        date | None, Query(description="Taken on this day or later.", examples=["2024-06-01"])
    ] = None,
    before: Annotated[
        date | None, Query(description="Taken before this day.", examples=["2024-07-01"])
    ] = None,
    type: Annotated[
        str | None, Query(pattern=r"^[a-z0-9]{1,8}$", description="Suffix.", examples=["jpg"])
    ] = None,
    camera: Annotated[
        str | None, Query(min_length=1, max_length=200, examples=["FUJIFILM X100V"])
    ] = None,
    latitude: Annotated[
        float | None, Query(ge=-90, le=90, description="Near a place: with `longitude`.")
    ] = None,
    longitude: Annotated[float | None, Query(ge=-180, le=180)] = None,
    kilometres: Annotated[float, Query(gt=0, le=20_000, description="How near.")] = NEAR_KM,
) -> PhotoFilter:
    """What a request asks of photos besides what they show."""
    folders: tuple[Path, ...] = ()
    if folder is not None:
        folders = (await library.look_up.run(lambda lookups: lookups.folder(folder)),)
    near = None
    if latitude is not None and longitude is not None:
        near = box_around(latitude, longitude, kilometres)
    return PhotoFilter(
        folders=folders,
        after=None if after is None else midnight(after),
        before=None if before is None else midnight(before),
        suffixes=() if type is None else (f".{type}",),
        camera=camera,
        near=near,
    )


@router.get("/photos", responses=refusals(400, 404, 503))
async def search(
    library: ChosenLibrary,
    chosen: Annotated[PhotoFilter, Depends(chosen_filter)],
    q: Annotated[
        str, Query(max_length=_LONGEST, description="What photos show.", examples=["dogs in snow"])
    ] = "",
    like: Annotated[
        PhotoId | None, Query(description="In place of words: a photo of this library.")
    ] = None,
    example: Annotated[
        str | None, Query(pattern=KEY, description="In place of words: an uploaded photo.")
    ] = None,
    offset: Annotated[int, Query(ge=0, le=100_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 60,
) -> Photos:
    """The photos that fit best, best first; without anything to look for, the newest first."""
    if like is not None:
        path = await library.look_up.run(lambda lookups: checked_path(lookups.catalog, like))
        asked = by_example(path, chosen, like=like)
    elif example is not None:
        asked = by_example(library.uploads.path(example), chosen)
    else:
        asked = in_words(q, chosen)
    return await _answer(library, asked, offset, limit)


@router.post(
    "/examples",
    status_code=201,
    responses=refusals(404, 413, 415),
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The bytes of a photo.",
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def upload(library: ChosenLibrary, request: Request) -> Example:
    """Take a photo to search with; the answer names it for `example`.

    It is made small at once and is gone when the server stops.
    """
    return Example(example=await library.uploads.add(await request.body()))


async def _answer(library: Collection, asked: Asked, offset: int, limit: int) -> Photos:
    page = await library.search.run(
        lambda searcher: searcher.page(asked, offset=offset, limit=limit)
    )
    return Photos.of(page)
