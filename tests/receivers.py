"""Real receivers on this machine for as long as a test needs them: they keep what they got, and answer as they are told."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered; `drip_s` between bytes of the body, `hold` until it is set before anything."""

    status: int = 200
    body: bytes = b"ok"
    headers: Sequence[tuple[str, str]] = ()
    drip_s: float = 0.0
    hold: threading.Event | None = None


@dataclass
class Server:
    """An HTTP server: answers each request with what `judge` makes of it."""

    judge: Callable[[Request], Reply]
    port: int = 0
    scheme: str = "http"
    got: list[Request] = field(default_factory=list)
    written: int = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self.scheme}://127.0.0.1:{self.port}"


@contextlib.contextmanager
def http(judge: Callable[[Request], Reply], tls: tuple[str, str] | None = None) -> Iterator[Server]:
    """A server that judges each request; with a certificate and key it speaks TLS."""
    server = Server(judge)
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            server.got.append(request)
            reply = server.judge(request)
            if reply.hold is not None:
                while not closing.is_set() and not reply.hold.wait(0.05):
                    pass
            with contextlib.suppress(OSError):
                self.send_response(reply.status)
                for name, value in (*reply.headers, ("Content-Length", str(len(reply.body)))):
                    self.send_header(name, value)
                self.end_headers()
                step = 1 if reply.drip_s else 65536
                for at in range(0, len(reply.body), step):
                    self.wfile.write(reply.body[at : at + step])
                    server.written += step
                    if reply.drip_s and closing.wait(reply.drip_s):
                        return

        def log_message(self, *_: Any) -> None:
            pass

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving.daemon_threads = True
    serving.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hung up is meant
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        serving.socket = context.wrap_socket(serving.socket, server_side=True)
        server.scheme = "https"
    server.port = serving.server_address[1]
    thread = threading.Thread(target=serving.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        closing.set()
        serving.shutdown()
        serving.server_close()
        thread.join(10)


def nobody() -> int:
    """A port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def until(holds: Callable[[], object], seconds: float = 30.0) -> Any:
    """Wait for something, and give it."""
    give_up_s = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < give_up_s, "it never came"
        time.sleep(0.01)
    return found
