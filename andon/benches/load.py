"""A plant's worth of messages, from a process of its own: `python -m andon.benches.load` and a Load as JSON.

Says `ready` once all connections stand, begins when it is told to (a line on standard input), and says at last
what was sent, acknowledged, and how long it took. It ends by itself after `give_up_s`, whatever happens.
"""

import itertools
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from andon.clock import wall
from andon.events import Json, rfc3339

ASSETS, CHANNELS = 50, 20
"""1,000 channels: on each asset twenty measuring points of one quantity."""
POINT, QUANTITY, UNIT = "P{:02d}", "velocity_rms", "mm/s"
PATH = "bench/site/area/line/cell"
_AT_ONCE = 32
_U16 = struct.Struct(">H")
_BODY = (
    '{{"type":"andon.telemetry.v1","source":"bench","time":"{time}","producer":"{producer}","boot":"b1",'
    '"seq":{seq},"data":{{"metrics":[{metrics}]}}}}'
)


@dataclass(frozen=True, slots=True)
class Load:
    """How many messages of which size go to the port, on how many connections; a rate of 0 is as fast as it goes."""

    port: int
    count: int
    size: int = 200
    qos: int = 1
    rate_hz: float = 0.0
    connections: int = 1
    window: int = 1000
    give_up_s: float = 60.0

    def words(self) -> list[str]:
        """The command that runs it."""
        return [sys.executable, "-m", "andon.benches.load", json.dumps(asdict(self))]


class Publisher:
    """One publishing client, which never has more than its window unacknowledged."""

    def __init__(self, load: Load, number: int) -> None:
        self._qos = load.qos
        self._window = max(1, load.window // load.connections)
        self.sock = socket.create_connection(("127.0.0.1", load.port), timeout=5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(_connect(f"bench-{number}"))
        if len(answer := self.sock.recv(4)) < 4 or answer[3]:
            raise ConnectionError(f"CONNECT was answered {answer.hex()}")
        self.sock.setblocking(False)
        self._out = memoryview(b"")
        self._source = messages(load.size, range(number % ASSETS, ASSETS, min(load.connections, ASSETS)))
        self.sent = self._heard_bytes = 0

    @property
    def acknowledged(self) -> int:
        """How many PUBACKs have come: each has four bytes, and nothing else is said to us."""
        return self._heard_bytes // 4 if self._qos else self.sent

    @property
    def room(self) -> int:
        """How many messages may be sent now."""
        if self._out:
            return 0
        return self._window - (self.sent - self.acknowledged)

    def publish(self, count: int) -> None:
        """Send so many messages of its own assets."""
        self.say(itertools.islice(self._source, count))

    def say(self, messages: Iterable[tuple[bytes, bytes]]) -> None:
        """Send these (topic, body)."""
        parts: list[bytes] = []
        for topic, body in messages:
            packet = b""
            if self._qos:
                packet = _U16.pack(self.sent % 65_535 + 1)
            front = _U16.pack(len(topic)) + topic + packet
            parts += (bytes((0x30 | self._qos << 1,)), _length(len(front) + len(body)), front, body)
            self.sent += 1
        self._out = memoryview(b"".join(parts))
        self.flush()

    def flush(self) -> None:
        """Send on where the connection would not take more."""
        try:
            while self._out:
                self._out = self._out[self.sock.send(self._out) :]
        except BlockingIOError:
            pass

    @property
    def flushed(self) -> bool:
        """Whether all that was published has left."""
        return not self._out

    def listen(self) -> None:
        """Take in acknowledgements."""
        try:
            while heard := self.sock.recv(65_536):
                self._heard_bytes += len(heard)
        except BlockingIOError:
            return
        raise ConnectionError("the connection was closed")


def messages(size: int, assets: Sequence[int]) -> Iterator[tuple[bytes, bytes]]:
    """Telemetry of these assets' channels in turn, each body as near to `size` bytes as whole values allow."""
    empty = len(_body(0, 0, 1))
    values = max(1, 1 + (size - empty) // (len(_body(0, 0, 2)) - empty))
    for seq in itertools.count():
        for asset in assets:
            body = _body(seq, seq % CHANNELS, values, f"m{asset}")
            topic = f"andon/v1/{PATH}/m{asset}/_telemetry/process"
            yield topic.encode(), body.encode().ljust(size)


def _body(seq: int, channel: int, values: int, producer: str = "m0") -> str:
    metrics = ",".join(
        f'{{"name":"{POINT.format((channel + step) % CHANNELS)}/{QUANTITY}","value":{1 + (seq + step) % 97 / 100:.2f}}}'
        for step in range(values)
    )
    return _BODY.format(time=rfc3339(wall()), producer=producer, seq=seq, metrics=metrics)


def send(load: Load, publishers: list[Publisher]) -> None:
    """Send all of it, at its rate or as fast as the windows allow, and wait for the acknowledgements."""
    began_s = time.monotonic()
    sent = turn = 0
    by_sock = {publisher.sock: publisher for publisher in publishers}
    while sum(p.acknowledged for p in publishers) < load.count or not all(p.flushed for p in publishers):
        now_s = time.monotonic()
        if now_s - began_s > load.give_up_s:
            return
        due = load.count if not load.rate_hz else min(load.count, 1 + int((now_s - began_s) * load.rate_hz))
        stuck = 0
        while sent < due and stuck < len(publishers):
            publisher = publishers[turn % len(publishers)]
            turn += 1
            count = min(publisher.room, due - sent, 1 if load.rate_hz else _AT_ONCE)
            if count <= 0:
                stuck += 1
                continue
            stuck = 0
            publisher.publish(count)
            sent += count
        wait_s = 0.05
        if load.rate_hz and sent < load.count:
            wait_s = max(0.0, began_s + sent / load.rate_hz - time.monotonic())
        unfinished = [publisher.sock for publisher in publishers if not publisher.flushed]
        heard, free, _ = select.select(by_sock, unfinished, [], wait_s)
        for sock in heard:
            by_sock[sock].listen()
        for sock in free:
            by_sock[sock].flush()


def main(job: str) -> None:
    """Connect, wait for the word, send, say what came of it."""
    load = Load(**json.loads(job))
    publishers = [Publisher(load, number) for number in range(load.connections)]
    print("ready", flush=True)
    sys.stdin.readline()
    began_s, cpu_s = time.monotonic(), time.process_time()
    send(load, publishers)
    said: dict[str, Json] = {
        "sent": sum(publisher.sent for publisher in publishers),
        "acknowledged": sum(publisher.acknowledged for publisher in publishers),
        "seconds": time.monotonic() - began_s,
        "cpu_s": time.process_time() - cpu_s,
    }
    print(json.dumps(said), flush=True)
    for publisher in publishers:
        publisher.sock.close()


def _connect(client_id: str) -> bytes:
    name = client_id.encode()
    body = b"\0\4MQTT\4\2\0\0" + _U16.pack(len(name)) + name
    return b"\x10" + _length(len(body)) + body


def _length(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


if __name__ == "__main__":
    main(sys.argv[1])
