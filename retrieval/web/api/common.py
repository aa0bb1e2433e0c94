"""What the routes share: the library that a request names, and how refusals are described."""

from typing import Annotated, Any

from fastapi import Depends, HTTPException, Path, Request

from retrieval.web.collection import Collection
from retrieval.web.models import PhotoId, Refusal
from retrieval.web.served import Served
from retrieval.web.settings import LIBRARY_NAME

Responses = dict[int | str, dict[str, Any]]

_MEANINGS = {
    400: "The request cannot be understood.",
    401: "The token is missing.",
    403: "The request does not come from this server's own page.",
    404: "There is no such thing, or not any longer.",
    409: "It is going on already.",
    413: "The request is larger than this server takes.",
    415: "The file is no photo that can be decoded.",
    416: "The file has no such part.",
    500: "A library or its model is damaged.",
    503: "The library cannot be read now; try again.",
}
KEY = r"^[A-Za-z0-9_-]{22}$"
"""The form of names that nobody can guess."""


def refusals(*statuses: int) -> Responses:
    """How a route may refuse, for OpenAPI; every route for data may ask for the token.

    FastAPI describes by itself how it refuses what has another form.
    """
    return {
        status: {"model": Refusal, "description": _MEANINGS[status]}
        for status in sorted({401, 403, *statuses})
    }


# Coroutines, though they wait for nothing: FastAPI hands plain functions to a thread each time,
# which costs a busy machine more than the question itself.
async def served(request: Request) -> Served:
    """What this server serves."""
    found: Served = request.app.state.served
    return found


ServedNow = Annotated[Served, Depends(served)]


async def collection(
    library: Annotated[str, Path(pattern=f"^{LIBRARY_NAME}$", examples=["photos"])],
    now: ServedNow,
) -> Collection:
    """The library that a request names."""
    if library not in now.collections:
        raise HTTPException(404, "there is no such library")
    return now.collections[library]


ChosenLibrary = Annotated[Collection, Depends(collection)]
ChosenPhoto = Annotated[PhotoId, Path(alias="photo")]
