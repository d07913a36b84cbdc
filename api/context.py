"""What the console is given to work with: everything comes in here, nothing is opened inside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from andon.access.signing_in import Desk
from andon.clock import Now
from andon.events import Json
from andon.plant import Plant
from api.backtests import Backtests
from api.pace import Pace
from api.reporting.printing import Printing
from ingest.series import SeriesStore
from ticketing.requests.wechat_wire import Account
from ticketing.service import Tickets


@dataclass(frozen=True, slots=True)
class Context:
    """One installation as the console sees it.

    `status` gives what the supervisor last published: `{"parts": {name: {"running", "restarts", "ready",
    "status": {...}}}}`; missing keys mean unknown. `readiness` names what is wrong, empty if nothing is.
    `token` opens the console of a demo, None where people have accounts; `photos` is the folder of the tickets'
    photos, `backtests` runs them, `printing` makes reports, `journals` is the folder with one journal per source, None where
    nothing is received,
    `partners` the keys with which each partner signs, `wechat` the official accounts that are heard, by name, with
    `wechat_types` the type of ticket that each opens, if one is set.
    """

    database: Engine
    series: SeriesStore
    tickets: Tickets
    plant: Callable[[], Plant]
    now: Now
    status: Callable[[], Mapping[str, Json]]
    token: str | None
    readiness: Callable[[], list[str]]
    photos: Path
    backtests: Backtests | None = None
    desk: Desk | None = None
    names: frozenset[str] = frozenset()
    pace: Pace | None = None
    journals: Path | None = None
    printing: Printing | None = None
    partners: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    wechat: Mapping[str, Account] = field(default_factory=dict)
    wechat_types: Mapping[str, str] = field(default_factory=dict)
