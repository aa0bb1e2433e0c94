"""How the server is used, in the text format that Prometheus reads."""

import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.web.collection import Collection

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Counters of one server; routes are counted by their pattern, never by what was asked."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "leanclip_http_requests_total",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "leanclip_http_request_seconds",
            "Seconds from a request to the start of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._photos = self._gauge("leanclip_photos", "Photos that can be found.")
        self._indexing = self._gauge("leanclip_indexing", "1 while folders are being read.")
        self._kept = self._gauge("leanclip_thumbnails_kept", "Thumbnails answered from the disk.")
        self._made = self._gauge("leanclip_thumbnails_made", "Thumbnails that had to be made.")
        self._cache = self._gauge("leanclip_thumbnail_cache_bytes", "Thumbnails on disk.")

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note one answer."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    async def text(self, collections: Iterable[Collection]) -> bytes:
        """Everything that was counted, and the state of each library."""
        for one in collections:
            photos = await one.search.run(lambda searcher: searcher.count())
            self._photos.labels(one.name).set(photos)
            self._indexing.labels(one.name).set(one.indexing.state.running)
            self._kept.labels(one.name).set(one.thumbnails.counts.kept)
            self._made.labels(one.name).set(one.thumbnails.counts.made)
            self._cache.labels(one.name).set(one.cache.used)
        return generate_latest(self._registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, ("library",), registry=self._registry)


class Measured:
    """Counts every request that reaches a server, refused ones among them."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note how it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                # A client may invent methods, and each would be a series of its own.
                method = scope["method"] if scope["method"] in _METHODS else "other"
                seconds = time.perf_counter() - started
                self._metrics.count(method, route, message["status"], seconds)
            await send(message)

        await self._app(scope, receive, noting)


_METHODS = ("GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS")
