"""The server itself: whether it runs, who may use it, how much it is used."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import JSONResponse

from retrieval.web.api.common import ServedNow, refusals
from retrieval.web.metrics import CONTENT_TYPE
from retrieval.web.models import Health, Session
from retrieval.web.security import HEALTH, SESSION

router = APIRouter(tags=["server"])
_CookieHeader = Annotated[str | None, Header(include_in_schema=False)]


@router.get(HEALTH, responses=refusals())
async def health() -> Health:
    """Say that the server runs; needs no token."""
    return Health(status="ok")


@router.get(SESSION, responses=refusals())
async def session(
    now: ServedNow, cookie: _CookieHeader = None, authorization: _CookieHeader = None
) -> Session:
    """Say whether this browser may see the libraries; needs no token."""
    is_open = now.keys.opens(authorization) or now.keys.has_cookie(cookie)
    return Session(needs_token=now.keys.needed, is_open=is_open)


@router.post(SESSION, responses=refusals())
async def open_session(
    now: ServedNow,
    response: Response,
    authorization: Annotated[str | None, Header(examples=["Bearer 5f0c…"])] = None,
) -> Session:
    """Let a browser in that shows the token; from then on a cookie does."""
    if not now.keys.opens(authorization):
        return JSONResponse(  # type: ignore[return-value]
            {"detail": "this is not the token that leanclip serve was started with"},
            401,
            {"WWW-Authenticate": "Bearer"},
        )
    if now.keys.needed:
        response.headers["Set-Cookie"] = now.keys.cookie()
    return Session(needs_token=now.keys.needed, is_open=True)


@router.get(
    "/metrics",
    response_class=Response,
    responses={**refusals(503), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(now: ServedNow) -> Response:
    """Requests, their durations and the size of each library, for Prometheus."""
    text = await now.metrics.text(now.collections.values())
    return Response(text, headers={"Content-Type": CONTENT_TYPE})
