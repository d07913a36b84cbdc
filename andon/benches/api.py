"""What the console and API cost: pages, lists and searches of a real server among a thousand and a million tickets.

One server process on one data directory is asked by one client, one question after another. Its CPU is read from the
kernel. Then machines flood it with alarms while it is asked, and twenty tabs wait for one change.
"""

import http.client
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect

from andon import plants
from andon.benches import Row
from andon.benches.subjects import cpu_of
from andon.benches.ticket import PLANT, fold, stop
from andon.benches.years import BASE, LOOKED_AT, OPEN, copy, settle
from andon.clock import wall
from andon.database import reading, writing
from andon.datadir import open_store
from andon.events import MINUTE_NS, ConfigChanged, Origin
from api.live import EVERY_S
from ticketing import store

TOKEN = "of-the-bench"  # noqa: S105 - of a store that is thrown away
MANY, FEW = 1_000_000, 20_000
GOAL_TIMES, FLOOD_TIMES = 3.0, 2.0
BOARD_BYTES, BOARD_CPU_MS = 60_000, 5.0
TABS, FLOOD_PER_S = 20, 10_000 / 60
BATCH = 20
KEPT_OPEN_S = 2.0
STEPS = 6
TABS_HEAR_S = 4 * EVERY_S
"""The watch looks twice a second: a tab that hears later than after four looks has missed one."""
QUESTIONS: Mapping[str, str] = {
    "board": "/board?offset={number}",
    "table": "/tickets?state=open",
    "search": "/api/v1/tickets?text=conveyor+jam+{word}",
    "search of the open": "/api/v1/tickets?state=open&text=jam+{late}",
    "ticket page": "/tickets/{number}",
    "ticket as JSON": "/api/v1/tickets/{number}",
    "list of the latest as JSON": "/api/v1/tickets?sort=last_event&limit=50",
}
"""What is asked; a `{word}` is on one ticket in a thousand, `{late}` on one that is open.

A board at an address of its own is made anew, as after a change; at the same address it is kept for its other tabs.
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one question cost: milliseconds until the whole answer, and of the server's CPU; bytes of the answer."""

    p50_ms: float
    p95_ms: float
    cpu_ms: float
    size: int


class Server:
    """The console's own process on a data directory, and a connection to it."""

    def __init__(self, data: Path) -> None:
        web = {"host": "127.0.0.1", "port": 0, "requests_per_minute": 1e9, "burst": 10**9}
        job = {"role": "web", "data": str(data), "web": web, "token": TOKEN, "notify": False, "partners": []}
        words = [sys.executable, "-c", "from andon.parts import run_part; run_part()"]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        self.address = urlsplit(json.loads(self._process.stdout.readline())["ready"]).netloc
        self.pid = self._process.pid
        self._asked_s = 0.0
        self._connection = http.client.HTTPConnection(self.address, timeout=60)

    def get(self, path: str) -> bytes:
        """The answer to a GET; ConnectionError if it is no 200."""
        if time.monotonic() - self._asked_s > KEPT_OPEN_S:
            self._connection.close()  # the server has, or is about to
        self._asked_s = time.monotonic()
        self._connection.request(
            "GET", path, headers={"Authorization": f"Bearer {TOKEN}", "Accept": "text/html"}
        )
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            raise ConnectionError(f"{path}: {answer.status} {body[:200]!r}")
        return body

    def tab(self) -> ClientConnection:
        """A tab that waits for changes."""
        return connect(f"ws://{self.address}/live", additional_headers={"Authorization": f"Bearer {TOKEN}"})

    def memory_mb(self) -> float:
        """What the process holds now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def end(self) -> None:
        """Stop it."""
        self._connection.close()
        self._process.communicate(timeout=30)


def rows(step: Callable[[str], None], *, quick: bool, tickets: int | None = None) -> list[Row]:
    """All figures, on SQLite."""
    many, seconds = tickets or (FEW if quick else MANY), 0.5 if quick else 5.0
    with tempfile.TemporaryDirectory(prefix="andon-bench-") as folder:
        data = Path(folder)
        step(f"the first {BASE:,} tickets")
        at_ns = wall() - 30 * 24 * 60 * MINUTE_NS
        _begun(data, at_ns)
        step(f"asked among {BASE:,}")
        with _server(data) as server:
            small = _asked(server, seconds, BASE)
            found = _board(server, seconds)
        step(f"{many:,} tickets")
        began_s = time.monotonic()
        engine = open_store(data)
        copy(engine, many // BASE - 1, LOOKED_AT)
        engine.dispose()
        made_s = time.monotonic() - began_s
        step(f"asked among {many:,}")
        with _server(data) as server:
            large = _asked(server, seconds, many)
            step("a flood of alarms")
            found += [*_flood(server, data, seconds), *_tabs(server, data, seconds)]
        step("done")
    compared = [row for what in QUESTIONS for row in _compared(what, small[what], large[what], many)]
    return [*compared, *found, Row(f"time to make {many:,} tickets", made_s, "s")]


def _compared(what: str, small: Asked, large: Asked, many: int) -> list[Row]:
    among = f"{what} among {many:,} tickets"
    few = f"{BASE:,}: {small.p95_ms:.1f} ms"
    return [
        Row(f"{among}, p95", large.p95_ms, "ms", few, large.p95_ms / small.p95_ms, "G8", GOAL_TIMES),
        Row(
            f"{among}, p50",
            large.p50_ms,
            "ms",
            f"{BASE:,}: {small.p50_ms:.1f} ms",
            large.p50_ms / small.p50_ms,
        ),
        Row(
            f"{among}, CPU",
            large.cpu_ms,
            "ms",
            f"{BASE:,}: {small.cpu_ms:.1f} ms",
            large.cpu_ms / small.cpu_ms,
        ),
    ]


def _begun(data: Path, at_ns: int) -> None:
    """A data directory with the plant and the first tickets."""
    engine = open_store(data)
    with writing(engine) as conn:
        document = PLANT.model_dump(mode="json")
        plants.save(conn, ConfigChanged(at_ns, 1, document, Origin("engine", 1, at_ns)))
    for first in range(0, BASE, 250):
        fold(engine, [stop(n, at_ns) for n in range(first, first + 250)], at_ns)
    settle(engine, PLANT, at_ns)
    engine.dispose()


@contextmanager
def _server(data: Path) -> Iterator[Server]:
    server = Server(data)
    try:
        yield server
    finally:
        server.end()


def _asked(server: Server, seconds: float, many: int) -> dict[str, Asked]:
    return {what: _ask(server, path, seconds, many) for what, path in QUESTIONS.items()}


def _ask(server: Server, path: str, seconds: float, many: int) -> Asked:
    """One question again and again, each time about another ticket, all over the store."""
    took: list[float] = []
    size = n = 0
    server.get(_path(path, 0, many))
    cpu_s, until_s = cpu_of(server.pid), time.monotonic() + seconds
    while time.monotonic() < until_s or len(took) < 20:
        n += 1
        began_s = time.perf_counter()
        size = len(server.get(_path(path, n, many)))
        took.append((time.perf_counter() - began_s) * 1000)
    spent_ms = (cpu_of(server.pid) - cpu_s) * 1000 / len(took)
    return Asked(statistics.median(took), _p95(took), spent_ms, size)


def _path(path: str, n: int, many: int) -> str:
    number = 1 + n * 7919 % (many - 1)
    return path.format(word=n * 37 % BASE, late=BASE - 1 - n % OPEN, number=number)


def _p95(took: Sequence[float]) -> float:
    return sorted(took)[int(0.95 * len(took))]


def _board(server: Server, seconds: float) -> list[Row]:
    """What a board costs; the tickets on it are those that are open, and as many of the closed as it shows."""
    anew, asked = _ask(server, QUESTIONS["board"], seconds, BASE), _ask(server, "/board", seconds, BASE)
    empty = _ask(server, "/healthz", seconds, BASE)
    return [
        Row("board, HTML as sent", asked.size, "bytes", limit=BOARD_BYTES),
        Row(
            "board, CPU of the server",
            asked.cpu_ms,
            "ms",
            f"after a change, by the first tab: {anew.cpu_ms:.2f} ms; an empty answer: {empty.cpu_ms:.2f} ms",
            None,
            None,
            BOARD_CPU_MS,
        ),
    ]


def _tabs(server: Server, data: Path, seconds: float) -> list[Row]:
    """Twenty tabs that wait: what that costs, and how soon all have heard of one change."""
    before_mb = server.memory_mb()
    with ExitStack() as opened:
        tabs = [opened.enter_context(server.tab()) for _ in range(TABS)]
        for tab in tabs:
            tab.recv(timeout=30)  # where things stand
        held_mb, cpu_s = server.memory_mb() - before_mb, cpu_of(server.pid)
        time.sleep(seconds)
        idle = (cpu_of(server.pid) - cpu_s) / seconds
        engine = open_store(data)
        fold(engine, [stop(77_777_777, wall())], wall())
        began_s = time.monotonic()
        for tab in tabs:
            tab.recv(timeout=30)
        heard_s = time.monotonic() - began_s
        engine.dispose()
    return [
        Row(f"{TABS} tabs, until the last has heard of a change", heard_s, "s", limit=TABS_HEAR_S),
        Row(f"{TABS} tabs that wait, CPU of the server", idle * 100, "% of a core"),
        Row(f"{TABS} tabs that wait, memory of the server", held_mb, "MB"),
    ]


def _flood(server: Server, data: Path, seconds: float) -> list[Row]:
    """10,000 alarms a minute, one in ten of a new cause: what it does to a question, and whether each cause is one ticket."""
    before = _tickets(data)
    path = QUESTIONS["ticket as JSON"]
    idle = _ask(server, path, 2 * seconds, BASE)
    context = multiprocessing.get_context("spawn")
    until, told = context.Event(), context.Queue()
    folding = context.Process(target=_fold_until, args=(str(data), until, told))
    folding.start()
    told.get(timeout=60)
    flooded = _ask(server, path, 4 * seconds, BASE)
    until.set()
    alarms, causes, took_s = told.get(timeout=60)
    folding.join()
    made = _tickets(data) - before
    rate = alarms / took_s * 60
    return [
        Row(
            "a flood of alarms", rate, "/min", "of 10,000 asked for", rate / 10_000, None, 0.95, at_least=True
        ),
        Row(
            f"ticket as JSON in a flood of {alarms:,} alarms, p95",
            flooded.p95_ms,
            "ms",
            f"idle: {idle.p95_ms:.1f} ms",
            flooded.p95_ms / idle.p95_ms,
            "G5",
            FLOOD_TIMES,
        ),
        Row(
            f"tickets too many or too few after {causes:,} causes",
            abs(made - causes),
            "",
            None,
            None,
            "G5",
            0,
        ),
    ]


def _fold_until(data: str, until: threading.Event, told: "multiprocessing.Queue[object]") -> None:
    """The engine's part of a flood, at its rate."""
    engine = open_store(Path(data))
    told.put("ready")
    now_ns, alarms, causes = wall(), 0, 0
    began_s = time.monotonic()
    while not until.is_set():
        findings = []
        for _ in range(BATCH):
            causes += alarms % 10 == 0
            findings.append(stop(20_000_000 + causes, now_ns + alarms))
            alarms += 1
        fold(engine, findings, now_ns)
        time.sleep(max(0.0, began_s + alarms / FLOOD_PER_S - time.monotonic()))
    told.put((alarms, causes, time.monotonic() - began_s))


def _tickets(data: Path) -> int:
    engine = open_store(data)
    with reading(engine) as conn:
        total = store.tickets(conn, limit=0).total
    engine.dispose()
    return total
