"""What a value from an OPC UA server costs: our collector, to the disk, beside asyncua's bare handler, on one server."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from andon.benches import Row
from andon.benches.subjects import WAIT_S, Subject, answering, source
from andon.commands import Refused
from simulators.messages import NAMESPACE

NODES = 200
PUBLISHING_MS = 100
OPEN = {"security": "none", "allow_insecure": True, "events": None}
REFERENCE = "bare asyncua handler"


def rows(count: int, step: Callable[[str], None]) -> list[Row]:
    """So many changes of 200 variables, as fast as the server gives them, to each of the two."""
    costs_us: dict[str, float] = {}
    with serving(count) as (url, write):
        step(f"OPC UA, {REFERENCE}")
        with answering("andon.benches.opcua_handler", {"url": url, "nodes": NODES}) as bare:
            costs_us[REFERENCE] = _cost_us(bare, count, write, REFERENCE)
        step("OPC UA, collector")
        items = [
            {"node": node_of(number), "asset": f"m{number}", "channel": "P/current"}
            for number in range(NODES)
        ]
        with source(
            "opcua",
            {
                **OPEN,
                "url": url,
                "items": items,
                "publishing_ms": PUBLISHING_MS,
                "sampling_ms": PUBLISHING_MS / 20,
            },
        ) as ours:
            costs_us["collector"] = _cost_us(ours, count, write, "collector")
    bare_us = costs_us[REFERENCE]
    return [
        Row(
            f"OPC UA, {name}",
            1e6 / cost_us,
            "notifications per core and second",
            None if name == REFERENCE else REFERENCE,
            None if name == REFERENCE else bare_us / cost_us,
        )
        for name, cost_us in costs_us.items()
    ]


def node_of(number: int) -> str:
    """The address of a variable of the server."""
    return f"nsu={NAMESPACE};s=V{number}"


@contextlib.contextmanager
def serving(count: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """A server in a process of its own: its address, and what lets it write so many values."""
    words = [sys.executable, "-m", "andon.benches.opcua_server", json.dumps({"nodes": NODES, "count": count})]
    server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    with server:
        try:
            said, go = server.stdout, server.stdin
            if said is None or go is None or not (url := said.readline().strip()):
                raise Refused("the OPC UA server did not start")

            def write() -> None:
                go.write("\n")
                go.flush()
                said.readline()

            yield url, write
        finally:
            server.kill()


def _cost_us(subject: Subject, count: int, write: Callable[[], None], name: str) -> float:
    """CPU per notification, after the first value of each variable has come."""
    _until(subject, NODES, name)
    known, before_s = subject.taken(), subject.cpu_s()
    write()
    _until(subject, known + count, name)
    return (subject.cpu_s() - before_s) / count * 1e6


def _until(subject: Subject, count: int, name: str) -> None:
    give_up_s = time.monotonic() + WAIT_S
    while (taken := subject.taken()) < count:
        if time.monotonic() > give_up_s:
            raise Refused(f"OPC UA, {name}: {taken} of {count} values arrived")
        time.sleep(0.02)
