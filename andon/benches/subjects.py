"""What is measured: programs that take messages, each in processes of its own, as they are installed.

CPU is that of the receiving processes, user and system, as the kernel counts it; whoever publishes runs elsewhere.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from andon import manifest
from andon.benches.broker import SUBSCRIBER, TOPICS
from andon.benches.load import ASSETS, CHANNELS, PATH, POINT, QUANTITY, UNIT, Load
from andon.commands import Refused
from andon.config import Source
from andon.database import reading
from andon.datadir import open_store
from andon.events import Json
from andon.installation import Installation
from ingest.journal import SqliteJournal

WAIT_S = 30.0
SOURCE = "floor"


@dataclass(frozen=True, slots=True)
class Subject:
    """A program that takes messages on `port`. `taken` gives how many it has; `cpu_s` what it has used so far."""

    port: int
    taken: Callable[[], int]
    cpu_s: Callable[[], float]
    data: Path = Path()


@dataclass(frozen=True, slots=True)
class Sending:
    """A publisher's process whose connections stand."""

    ready: IO[str]
    go: IO[str]

    def begin(self) -> None:
        """Let it send."""
        self.go.write("\n")
        self.go.flush()

    def end(self) -> dict[str, float]:
        """Wait until it has sent all; gives what it says of it."""
        said: dict[str, float] = json.loads(self.ready.readline())
        return said


@contextlib.contextmanager
def publishing(load: Load) -> Iterator[Sending]:
    """A publisher of this load in a process of its own, until it is ready to send."""
    process = subprocess.Popen(load.words(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    with process:
        try:
            if process.stdout is None or process.stdin is None or process.stdout.readline() != "ready\n":
                raise Refused("the publisher could not connect")
            yield Sending(process.stdout, process.stdin)
        finally:
            process.kill()


def cpu_of(pid: int) -> float:
    """Seconds of CPU, user and system, that a running process has used (Linux: clock_getcpuclockid)."""
    return time.clock_gettime(~pid << 3 | 2)


@contextlib.contextmanager
def source(
    kind: str, parameters: Mapping[str, Json], port: int = 0, *, whole: bool = False
) -> Iterator[Subject]:
    """A listener or collector of an installation; with the engine behind it if it is the `whole` path.

    A listener's port is its own; a collector's is that of its broker.
    """
    with tempfile.TemporaryDirectory(prefix="andon-bench-") as made, contextlib.ExitStack() as closing:
        line = Installation(Path(made))
        try:
            line.start_source(SOURCE, Source.model_validate({"kind": kind, **parameters}))
            address = line.wait(SOURCE)
            if whole:
                line.start_engine(plant(), [SOURCE])
                line.wait("engine")
            children = [line.supervisor.children[name] for name in (SOURCE, *(["engine"] * whole))]
            journal = closing.enter_context(
                contextlib.closing(SqliteJournal(Path(made) / "journal" / SOURCE, read_only=True))
            )
            yield Subject(
                port or int(address.strip("/").rpartition(":")[2]),
                _worked_on(Path(made), closing) if whole else journal.end,
                lambda: sum(cpu_of(child.process.pid) for child in children),
                Path(made),
            )
        finally:
            line.stop()
            for child in line.supervisor.children.values():
                child.process.wait(WAIT_S)
                for pipe in (child.process.stdin, child.process.stdout):
                    if pipe is not None:
                        pipe.close()


def plant() -> dict[str, Json]:
    """1,000 scalar channels: ISO 10816-3 zones are judged on each, and each has its timer."""
    points = [
        {
            "id": POINT.format(number),
            "component": f"C{number:02d}",
            "quantities": {QUANTITY: UNIT},
            "period_s": 60,
        }
        for number in range(CHANNELS)
    ]
    machines = [
        {
            "id": f"m{number}",
            "name": f"m{number}",
            "asset_class": "motor",
            "path": PATH,
            "power_kw": 75,
            "points": points,
        }
        for number in range(ASSETS)
    ]
    people = [{"id": "p1", "name": "P", "role": "technician"}]
    kinds = [{"kind": kind} for kind in ("velocity_zones", "silent_sensor", "stop_alarm")]
    return {"name": "bench", "assets": machines, "people": people, "classes": {"motor": kinds}}


def _worked_on(data: Path, closing: contextlib.ExitStack) -> Callable[[], int]:
    store = open_store(data)
    closing.callback(store.dispose)

    def received() -> int:
        with reading(store) as conn:
            counts = manifest.counted(conn).get(f"source.{SOURCE}")
        return int(counts["received"]) if counts else 0

    return received


def consumer(port: int, qos: int) -> AbstractContextManager[Subject]:
    """The ordinary way: paho on its thread, a pydantic model per message, nothing kept."""
    return answering("andon.benches.consumer", {"port": port, "qos": qos}, port)


@contextlib.contextmanager
def answering(module: str, job: Mapping[str, Json], port: int = 0) -> Iterator[Subject]:
    """A program of ours that is asked by a line how many it has taken."""
    words = [sys.executable, "-m", module, json.dumps(job)]
    with _program(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        _said(process)
        yield Subject(port, lambda: _said(process), lambda: cpu_of(process.pid))


def _said(process: "subprocess.Popen[bytes]") -> int:
    """Ask it how many it has."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("a program without pipes")
    process.stdin.write(b"\n")
    process.stdin.flush()
    return int(process.stdout.readline())


@contextlib.contextmanager
def mosquitto_sub(port: int, qos: int, count: int) -> Iterator[Subject]:
    """The clients' reference: a C program that parses, acknowledges and prints (to nowhere)."""
    words = [str(SUBSCRIBER), "-p", str(port), "-t", TOPICS, "-q", str(qos), "-i", f"sub-{port}", "-c"]
    with _program([*words, "-C", str(count)], stdout=subprocess.DEVNULL) as process:
        time.sleep(0.3)  # it does not say when it has subscribed
        used: list[float] = []

        def taken() -> int:
            if used:
                return count
            gone, _, usage = os.wait4(process.pid, os.WNOHANG)
            if not gone:
                return 0
            process.returncode = 0
            used.append(usage.ru_utime + usage.ru_stime)
            return count

        yield Subject(port, taken, lambda: used[0] if used else cpu_of(process.pid))


@contextlib.contextmanager
def _program(
    words: list[str], *, stdin: int | None = None, stdout: int
) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(words, stdin=stdin, stdout=stdout)  # noqa: S603 -- our own, or mosquitto's
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        process.wait(10)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
