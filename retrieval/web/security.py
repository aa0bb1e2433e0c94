"""Who may ask, and what the browser may do with the answers."""

import hashlib
import hmac
import json
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.web.settings import Settings

# Nothing is loaded but from here; no script or style stands in the page, and no string ever
# becomes markup. A file that is served can do nothing even when it is opened by itself.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

HEALTH = "/api/health"
SESSION = "/api/session"
# They hold nothing of anybody's, and the page needs them before it knows the token.
_OPEN_TO_ALL = (HEALTH, SESSION)
_YEAR = 365 * 24 * 60 * 60


class Keys:
    """The token that lets a browser in, and the cookie that it gets for it."""

    def __init__(self, token: str | None, port: int) -> None:
        self._token = None if token is None else token.encode()
        # Cookies do not tell ports apart: two servers on one machine need two names.
        self._cookie = f"leanclip_{port}"

    @property
    def needed(self) -> bool:
        """Whether a token protects this server."""
        return self._token is not None

    def opens(self, authorization: str | None) -> bool:
        """Whether an ``Authorization`` header carries the token."""
        if self._token is None:
            return True
        scheme, _, token = (authorization or "").partition(" ")
        # In constant time, so that a wrong token does not tell how much of it is right.
        same = hmac.compare_digest(token.strip().encode(), self._token)
        return same and scheme.lower() == "bearer"

    def has_cookie(self, cookies: str | None) -> bool:
        """Whether a ``Cookie`` header carries what an earlier visit was given."""
        try:
            found = SimpleCookie(cookies or "").get(self._cookie)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), self._proof())

    def cookie(self) -> str:
        """The ``Set-Cookie`` for a browser that showed the token.

        It holds a proof of the token, not the token; scripts cannot read it, and no other
        site's request carries it.
        """
        proof = self._proof().decode()
        return f"{self._cookie}={proof}; Path=/; HttpOnly; SameSite=Strict; Max-Age={_YEAR}"

    def _proof(self) -> bytes:
        secret = self._token or b""
        return hmac.new(secret, b"leanclip session", hashlib.sha256).hexdigest().encode()


class Guard:
    """Refuses requests that this machine's owner did not make; stands before everything.

    The ``Host`` must name this machine (against DNS rebinding), a browser must say that the
    request comes from this page (against other sites and other local servers), and where a
    token protects the server, each request for data must prove it.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings, keys: Keys) -> None:
        self._app = app
        self._settings = settings
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or pass the request on; headers are put on both."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope["path"], Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, with_headers)
        else:
            await _answer(with_headers, *refusal)

    def _refusal(self, path: str, headers: Headers) -> tuple[int, str] | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._settings.allows_host(hosts[0]):
            return 403, (
                "this server does not go by that name; "
                "start it with --allow-host if the name is yours"
            )
        if not _is_own_origin(headers.getlist("origin"), hosts[0]):
            return 403, "another site's page may not use this server"
        for_data = path.startswith("/api/") or path == "/metrics"
        # Cross-site links may open the page itself, which holds nothing.
        if for_data and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "another site's page may not use this server"
        if for_data and path not in _OPEN_TO_ALL and not self._knows_token(headers):
            return 401, "this library needs its token: open the address that leanclip serve printed"
        return None

    def _knows_token(self, headers: Headers) -> bool:
        if not self._keys.needed or self._keys.opens(headers.get("authorization")):
            return True
        return self._keys.has_cookie(headers.get("cookie"))


def _is_own_origin(origins: Iterable[str], host: str) -> bool:
    for origin in origins:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or parts.netloc.lower() != host.lower():
            return False
    return True


async def _answer(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
