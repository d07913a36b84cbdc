"""A connection that begins a request and does not end its headers is closed, so that nobody holds them all open."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 15.0
"""How long the line and headers of a request may take; uvicorn itself waits for ever."""


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with that bound, on the first request of a connection and on each after it."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait from here."""
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        """Wait for the next request's; an idle connection is closed by uvicorn before."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._stop()
        self._patience = self.loop.call_later(HEADERS_S, self._close_unless_begun)

    def _stop(self) -> None:
        if self._patience is not None:
            self._patience.cancel()

    def _close_unless_begun(self) -> None:
        """Close, unless a request is being answered or the connection has become a WebSocket's."""
        waits = self.conn.their_state is h11.IDLE
        if waits and self.transport.get_protocol() is self and not self.transport.is_closing():
            self.transport.close()
