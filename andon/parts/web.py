"""The process of the console and API."""

import asyncio
import contextlib
import json
import socket
import ssl
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import uvicorn

from andon import plants
from andon.access.sessions import Lifetimes
from andon.access.signing_in import Desk
from andon.channels import partner_keys, wechat_accounts
from andon.clock import Now
from andon.config import Notify, Web
from andon.datadir import open_store
from andon.events import HOUR_NS, Json
from andon.parts import Job, ready, until
from api.app import Context, create_app
from api.backtests import Backtests
from api.pace import Pace
from api.patient import PatientProtocol
from api.reporting.printing import Printing
from ingest.series import SeriesStore
from ticketing.book import BUS
from ticketing.service import Tickets

HEADERS_MAX, SAID_MAX = 32 * 1024, 4096
"""Bytes: of a request's line and headers; of what a tab says on its WebSocket, which is never listened to."""

CONNECTIONS_MAX = 1000


def run(job: Job, now: Now, stopping: threading.Event) -> None:
    """Serve until told to stop."""
    asyncio.run(until(stopping, lambda event: serve(job, now, event)))


async def serve(job: Job, now: Now, stopping: asyncio.Event) -> None:
    """The console and API until `stopping` is set."""
    web = Web.model_validate(job["web"])
    data = Path(job["data"])
    database = open_store(data)
    run = data / "run" / "status.json"

    def status() -> dict[str, Json]:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads(run.read_text()))
        return {}

    backtests = Backtests(
        data / "backtests", (sys.executable, "-m", "andon", "backtest", "--data", str(data))
    )
    signing = [Notify.model_validate(one) for one in job["partners"]]
    accounts = wechat_accounts(signing)
    printing = Printing(data / "reports", (sys.executable, "-m", "andon", "report", "--data", str(data)))
    context = Context(
        database=database,
        series=SeriesStore(data / "series.sqlite", read_only=True),
        tickets=Tickets(database, photos=data / "photos", channels=(BUS,) if job["notify"] else ()),
        plant=plants.Current(database),
        now=now,
        status=status,
        token=job["token"],
        readiness=lambda: degraded(status()),
        photos=data / "photos",
        backtests=backtests,
        journals=data / "journal",
        desk=None if job["token"] else Desk(database, lifetimes_of(web)),
        names=hosts_of(web),
        pace=Pace(web.requests_per_minute, web.burst),
        printing=printing,
        partners=partner_keys(signing),
        wechat={name: one.account(name) for name, one in accounts.items()},
        wechat_types={name: one.type for name, one in accounts.items()},
    )
    server = uvicorn.Server(served(context, web))
    with bound(web.host, web.port) as listening:
        ready(f"{web.address}:{listening.getsockname()[1]}")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listening]), name="uvicorn")
            await stopping.wait()
            server.should_exit = True
    backtests.close()
    printing.close()


def served(context: Context, web: Web) -> uvicorn.Config:
    """How the application is served: by TLS 1.2 or later if there is a certificate, within bounds."""
    config = uvicorn.Config(
        create_app(context),
        log_level="warning",
        lifespan="on",
        server_header=False,
        http=PatientProtocol,
        ssl_certfile=web.certificate,
        ssl_keyfile=web.key,
        proxy_headers=bool(web.proxies),
        forwarded_allow_ips=list(web.proxies),
        h11_max_incomplete_event_size=HEADERS_MAX,
        ws_max_size=SAID_MAX,
        limit_concurrency=CONNECTIONS_MAX,
    )
    config.load()
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return config


def hosts_of(web: Web) -> frozenset[str]:
    """The names in a Host header that are this console's, beside those of the machine itself."""
    return frozenset(f"[{name}]" if ":" in name else name.lower() for name in (*web.names, web.host))


def lifetimes_of(web: Web) -> Lifetimes:
    """How long sessions last."""
    return Lifetimes(int(web.session_idle_hours * HOUR_NS), int(web.session_days * 24 * HOUR_NS))


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
