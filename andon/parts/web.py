"""The process of the console and API."""

import asyncio
import contextlib
import json
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import uvicorn

from andon import plants
from andon.clock import Now
from andon.database import reading
from andon.datadir import open_store
from andon.events import Json
from andon.parts import Job, ready, until
from andon.plant import Plant
from api.app import Context, create_app
from api.backtests import Backtests
from ingest.series import SeriesStore
from ticketing.book import BUS
from ticketing.service import Tickets


def run(job: Job, now: Now, stopping: threading.Event) -> None:
    """Serve on a loopback port until told to stop."""
    asyncio.run(until(stopping, lambda event: serve(job, now, event)))


async def serve(job: Job, now: Now, stopping: asyncio.Event) -> None:
    """The console and API on a loopback port until `stopping` is set."""
    data = Path(job["data"])
    database = open_store(data)
    run = data / "run" / "status.json"

    def status() -> dict[str, Json]:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads(run.read_text()))
        return {}

    def plant() -> Plant:
        with reading(database) as conn:
            return plants.latest(conn) or Plant(name="")

    backtests = Backtests(
        data / "backtests", (sys.executable, "-m", "andon", "backtest", "--data", str(data))
    )
    context = Context(
        database=database,
        series=SeriesStore(data / "series.sqlite", read_only=True),
        tickets=Tickets(database, photos=data / "photos", channels=(BUS,) if job["notify"] else ()),
        plant=plant,
        now=now,
        status=status,
        token=job["token"],
        readiness=lambda: degraded(status()),
        photos=data / "photos",
        backtests=backtests,
        journals=data / "journal",
    )
    server = uvicorn.Server(uvicorn.Config(create_app(context), log_level="warning", lifespan="on"))
    with bound(job["host"], job["port"]) as listening:
        ready(f"http://{job['host']}:{listening.getsockname()[1]}")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listening]), name="uvicorn")
            await stopping.wait()
            server.should_exit = True
    backtests.close()


def bound(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one.

    It names TCP itself: asyncio switches Nagle's algorithm off (TCP_NODELAY) only on connections of such a socket, and
    with it on, every answer waits 40 ms for the acknowledgement of its headers.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(128)
    return listening


def degraded(status: Mapping[str, Json]) -> list[str]:
    """Why the installation is not whole: parts that are down, sources without connection, an engine that differs."""
    reasons = (
        ["andon.toml: refused, the old one stays in force"] if status.get("configuration_refused") else []
    )
    for name, part in status.get("parts", {}).items():
        said = part.get("status", {})
        if part.get("quarantined"):
            reasons.append(f"{name}: in quarantine")
        elif not part.get("running"):
            reasons.append(f"{name}: not running")
        elif said.get("connected") is False:
            reasons.append(f"{name}: not connected")
        if said.get("differs"):
            reasons.append(f"{name}: batch {said['differs'][0]} gave another outcome when it was repeated")
    return reasons
