"""The server as an ASGI application: the page, its interface, and what guards them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from retrieval.spec.errors import CatalogError, LeanclipError, PhotoError, QueryError
from retrieval.spec.readable import readable
from retrieval.web.api import libraries, photos, search, system
from retrieval.web.errors import BusyError, GoneError, UploadError
from retrieval.web.metrics import Measured
from retrieval.web.pages import INDEX, PageFile, page_files
from retrieval.web.security import Guard
from retrieval.web.served import Served
from retrieval.web.settings import Settings

_STATUS: tuple[tuple[type[LeanclipError], int], ...] = (
    (GoneError, 404),
    (UploadError, 415),
    (PhotoError, 404),
    (QueryError, 400),
    (BusyError, 409),
    (CatalogError, 503),
)
_JSON_BYTES = 1024 * 1024


def make_app(settings: Settings) -> FastAPI:
    """The application that serves some libraries; ``app.state.served`` is what it shares.

    Raises:
        BundleError: A model cannot be used.
        CatalogError: A catalog cannot be used.
    """
    served = Served(settings)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        try:
            await served.start()
        except LeanclipError as error:
            # Whoever started the server says it; uvicorn would print a trace.
            served.failure = error
        try:
            yield
        finally:
            served.close()

    app = FastAPI(
        title="leanclip",
        summary="Search photos on this machine in words.",
        version=version("leanclip"),
        openapi_url="/api/openapi.json",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=_JSON_BYTES,
        lifespan=life,
    )
    app.state.served = served
    for router in (system.router, libraries.router, photos.router):
        app.include_router(router)
    # What it takes are photos, and nothing else that is larger.
    app.include_router(search.router, max_body_size=settings.upload_bytes)
    _add_page(app)
    app.add_exception_handler(LeanclipError, _refused)
    app.add_middleware(Guard, settings=settings, keys=served.keys)
    app.add_middleware(Measured, metrics=served.metrics)
    return app


def _add_page(app: FastAPI) -> None:
    files = page_files()

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        return _sent(files[INDEX], request)

    @app.get("/static/{name:path}", include_in_schema=False)
    async def page_file(request: Request, name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        return _sent(files[name], request)


def _sent(file: PageFile, request: Request) -> Response:
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers={**headers, "Content-Type": file.media_type})


async def _refused(_: Request, error: Exception) -> JSONResponse:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return JSONResponse({"detail": readable(str(error))}, status)
