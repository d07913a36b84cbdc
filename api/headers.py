"""What every answer tells the browser: run only our own files, tell nobody where you were, keep nothing, stay on TLS."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
}
ONLY_TLS = "max-age=31536000"
"""Strict-Transport-Security (RFC 6797), where TLS was used: for a year this name is asked for in no other way."""

FOREVER = "public, max-age=31536000, immutable"
"""For static files: their address changes with their content."""


class SafeHeaders:
    """ASGI middleware that adds them; an answer's own Content-Security-Policy or Cache-Control stands."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the headers added to the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        tls = scope["scheme"] == "https"
        lasting = scope["path"].startswith("/static/")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if tls:
                    headers["Strict-Transport-Security"] = ONLY_TLS
                    cookies = headers.getlist("set-cookie")
                    del headers["set-cookie"]
                    for cookie in cookies:
                        headers.append("set-cookie", cookie if "; Secure" in cookie else f"{cookie}; Secure")
                found = message["status"] == 200
                headers.setdefault("Cache-Control", FOREVER if lasting and found else "no-store")
            await send(message)

        await self._app(scope, receive, with_headers)
