"""The libraries of this server: what they hold, and bringing them up to date."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.sse import EventSourceResponse

from retrieval.spec.readable import readable
from retrieval.web.api.common import ChosenLibrary, ServedNow, refusals
from retrieval.web.collection import Collection
from retrieval.web.models import Choices, Indexing, Library, Skipped, WantedFolders

router = APIRouter(prefix="/api/libraries", tags=["libraries"])
# Often enough to look alive, seldom enough to cost nothing.
_SECONDS = 0.25


@router.get("", responses=refusals(503))
async def libraries(now: ServedNow) -> list[Library]:
    """Every library that this server was started with."""
    return [await _described(one) for one in now.collections.values()]


@router.get("/{library}/choices", responses=refusals(404, 503))
async def choices(library: ChosenLibrary) -> Choices:
    """Folders, kinds of file, cameras and dates that photos can be filtered by."""
    return Choices.of(await library.look_up.run(lambda lookups: lookups.facets()))


@router.get("/{library}/skipped", responses=refusals(404, 503))
async def skipped(
    library: ChosenLibrary, limit: Annotated[int, Query(ge=1, le=1000)] = 200
) -> list[Skipped]:
    """Files that cannot be searched, and why."""
    found = await library.look_up.run(lambda lookups: lookups.catalog.skipped())
    return [Skipped(path=readable(path), why=why) for path, why in found[:limit]]


@router.get("/{library}/indexing", responses=refusals(404))
async def indexing(library: ChosenLibrary) -> Indexing:
    """How far indexing has come."""
    return Indexing.of(library.indexing.state)


@router.post("/{library}/indexing", status_code=202, responses=refusals(400, 404, 409, 413, 503))
async def start_indexing(library: ChosenLibrary, wanted: WantedFolders) -> Indexing:
    """Bring folders up to date: those that are named, or all that the library has.

    New folders are named on the command line, because no request may name a path.
    """
    folders = [
        await library.look_up.run(lambda lookups, one=one: lookups.folder(one))  # type: ignore[misc]
        for one in wanted.folders
    ]
    await library.index(folders)
    return Indexing.of(library.indexing.state)


@router.delete("/{library}/indexing", status_code=202, responses=refusals(404))
async def stop_indexing(library: ChosenLibrary) -> Indexing:
    """Stop after the photos at hand; what is finished is kept."""
    library.indexing.stop()
    return Indexing.of(library.indexing.state)


@router.get(
    "/{library}/indexing/events",
    response_class=EventSourceResponse,
    responses=refusals(404),
)
async def indexing_events(library: ChosenLibrary, now: ServedNow) -> AsyncIterator[Indexing]:
    """Progress as it happens: the present state first, then each change (server-sent events)."""
    last = None
    while not now.closing.is_set():
        state = library.indexing.state
        if state != last:
            last = state
            yield Indexing.of(state)
        await asyncio.sleep(_SECONDS)


async def _described(one: Collection) -> Library:
    photos = await one.search.run(lambda searcher: searcher.count())
    state = Indexing.of(one.indexing.state)
    return Library(name=one.name, model=one.model, photos=photos, indexing=state)
