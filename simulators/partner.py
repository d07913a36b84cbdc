"""A partner's side of the sync: an ERP that keeps tickets and stock, over a network that loses, doubles and delays.

It shares no code with what it talks to, and so shows what `docs/partners.md` asks of an ERP: about a hundred lines.
`python -m simulators.partner --secret-file erp.secret` serves one.
"""

import argparse
import base64
import hashlib
import hmac
import json
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from andon.clock import Now, wall

SKEW_S = 300
Answer = tuple[int, dict[str, Any]]


@dataclass
class Kept:
    """A ticket as the ERP keeps it."""

    version: int
    state: str
    was: list[str] = field(default_factory=list)


class Erp:
    """Keeps the highest version that it was told of each ticket; its own stock, less what tickets took of it."""

    def __init__(self, secret: str, code: str = "erp") -> None:
        self.code = code
        self.tickets: dict[str, Kept] = {}
        self.stock: dict[str, float] = {}
        self.through = 0
        self.sequence = 0
        self.sent = 0
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._heard: dict[str, Answer] = {}

    def take(self, headers: Mapping[str, str], body: bytes, now_s: float) -> Answer:
        """What it answers to a message: 2xx with the version that it keeps, once for each id, whatever comes twice."""
        id_, at = headers["webhook-id"], headers["webhook-timestamp"]
        if self._sign(id_, at, body) not in headers["webhook-signature"].split():
            return 401, {"code": "signature_wrong"}
        if abs(int(at) - now_s) > SKEW_S:
            return 401, {"code": "timestamp_off"}
        if id_ not in self._heard:
            event = json.loads(body)
            answer = self._take(event["type"], event["data"])
            if answer[0] == 425:
                return answer
            self._heard[id_] = answer
        return self._heard[id_]

    def _take(self, type_: str, data: Mapping[str, Any]) -> Answer:
        if type_ == "andon.ticket.state.v1":
            return self._state(data)
        if type_ == "andon.stock.moved.v1":
            return self._moved(data)
        return 200, {}

    def _state(self, data: Mapping[str, Any]) -> Answer:
        kept = self.tickets.setdefault(data["number"], Kept(0, ""))
        if data["version"] > kept.version:
            if kept.state != data["word"]:
                kept.was.append(data["word"])
            kept.version, kept.state = data["version"], data["word"]
        return 200, {"version": kept.version, "state": kept.state}

    def _moved(self, data: Mapping[str, Any]) -> Answer:
        if data["after"] > self.through:
            return 425, {"code": "too_early"}
        if data["movement"] > self.through:
            self.stock[data["part"]] = self.stock.get(data["part"], 0.0) + data["quantity"]
            self.through = data["movement"]
        return 200, {"through": self.through}

    def wants(self, ticket: str, **more: Any) -> dict[str, Any]:
        """An event that asks for a step of a ticket, on the version that it knows."""
        data = {"ticket": ticket, "version": self.tickets[ticket].version, **more}
        return self.event("andon.partner.transition.v1", data)

    def counts(self, part: str) -> dict[str, Any]:
        """An event that says what there is of a part."""
        self.sequence += 1
        data = {"part": part, "on_hand": self.stock.get(part, 0.0), "sequence": self.sequence}
        return self.event("andon.partner.stock.v1", {**data, "through": self.through})

    def keeps(self) -> dict[str, Any]:
        """An event that says all it keeps, so that what differs is told it again: the reconciliation."""
        listed = [
            {"ticket": number, "version": one.version, "state": one.state}
            for number, one in self.tickets.items()
        ]
        return self.event("andon.partner.confirmed.v1", {"tickets": listed})

    def event(self, type_: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """A CloudEvent of its own."""
        self.sent += 1
        head = {"specversion": "1.0", "id": f"{self.code}-{self.sent}", "source": f"urn:{self.code}"}
        return {**head, "type": type_, "datacontenttype": "application/json", "data": data}

    def signed(self, event: Mapping[str, Any], now_s: float) -> tuple[dict[str, str], bytes]:
        """The headers and body that it sends; sent again, the id is the same and the time another."""
        body, at = json.dumps(event).encode(), str(int(now_s))
        signature = self._sign(event["id"], at, body)
        return {"webhook-id": event["id"], "webhook-timestamp": at, "webhook-signature": signature}, body

    def answered(self, answer: Mapping[str, Any]) -> None:
        """Take up what a step was answered with, refused or not: the true state at its version."""
        if "version" in answer and "ticket" in answer:
            self._state({"number": answer["ticket"], "version": answer["version"], "word": answer["state"]})

    def _sign(self, id_: str, at: str, body: bytes) -> str:
        made = hmac.new(self._key, f"{id_}.{at}.".encode() + body, hashlib.sha256).digest()
        return "v1," + base64.b64encode(made).decode()


@dataclass
class Network:
    """The way to a partner: each message may be lost, its answer may be, it may come twice, or only later."""

    lose: float = 0.0
    lose_answer: float = 0.0
    double: float = 0.0
    delay: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - dice
    late: list[Callable[[], Answer]] = field(default_factory=list)

    def carry(self, deliver: Callable[[], Answer]) -> Answer | None:
        """The answer, or None where none came: lost on the way there, on the way back, or still on its way."""
        while self.late and self.chance.random() < 0.5:
            self.late.pop(self.chance.randrange(len(self.late)))()
        if self.chance.random() < self.lose:
            return None
        if self.chance.random() < self.delay:
            self.late.append(deliver)
            return None
        answer = deliver()
        if self.chance.random() < self.double:
            answer = deliver()
        return None if self.chance.random() < self.lose_answer else answer

    def heal(self) -> None:
        """What is late arrives, and from now on all is well."""
        self.lose = self.lose_answer = self.double = self.delay = 0.0
        while self.late:
            self.late.pop()()


def serve(
    erp: Erp, network: Network, port: int, *, now: Now = wall, say: Callable[[str], object] = print
) -> ThreadingHTTPServer:
    """An HTTP server that is this ERP behind that network; what is lost gets no answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = network.carry(lambda: erp.take(headers, body, now() / 1e9))
            say(f"{headers.get('webhook-id')} {answer[0] if answer else 'lost'}")
            if answer is None:
                self.close_connection = True
                return
            said = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            if answer[0] == 425:
                self.send_header("Retry-After", "1")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main() -> None:
    """Serve an ERP until it is stopped."""
    parser = argparse.ArgumentParser(prog="python -m simulators.partner", description=__doc__)
    parser.add_argument("--secret-file", type=Path, required=True, help="whsec_ and base64, as in andon.toml")
    parser.add_argument("--port", type=int, default=9200)
    for name in ("lose", "lose-answer", "double", "delay"):
        parser.add_argument(f"--{name}", type=float, default=0.0, help="share of messages, 0 to 1")
    given = parser.parse_args()
    network = Network(given.lose, given.lose_answer, given.double, given.delay)
    erp = Erp(given.secret_file.read_text().strip())
    server = serve(erp, network, given.port, say=lambda line: sys.stdout.write(line + "\n"))
    with server:
        server.serve_forever()


if __name__ == "__main__":
    main()
