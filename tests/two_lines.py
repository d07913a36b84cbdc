"""A shop floor of two lines with the same things on each, and people who sign in: accounts for one line, or for both."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy import Connection, Engine, insert, select
from starlette.types import Message, Scope

from andon.access import accounts, sessions
from andon.access.audit import By
from andon.access.roles import Role
from andon.access.signing_in import Desk
from andon.database import reading, writing
from andon.detector_sets import Change, ChangeSet, text_of
from andon.events import HOUR_NS, SECOND_NS, Action, Finding, Origin
from andon.rules.plans import Machines, Meter, Plan, Rhythm
from api.app import create_app
from api.backtests import Backtests
from api.reporting.order import Order
from api.reporting.printing import FILE, ORDER, Printing
from tests.shop_floor import SOURCE, ShopFloor
from ticketing import tables as t
from ticketing.alarm_rows import alarm_state
from ticketing.drift import drift_list
from ticketing.knowledge.tables import article
from ticketing.obligations import obligation
from ticketing.offers import offer
from ticketing.plans.tables import plan_asset, plan_run
from ticketing.quality.tables import deployment, sister_task
from ticketing.voice.tables import acknowledgement

DAY_NS = 24 * HOUR_NS
HERE, THERE = "L1", "L2"
PLACES = {HERE: ("lakeside/wuxi/machining",), THERE: ("lakeside/wuxi/casting",)}
STOPPING = {HERE: "L1-HYD-01", THERE: "L2-DCM-01"}
WEARING = {HERE: "L1-SPN-01", THERE: "L2-CMP-01"}
BOTH = Machines(assets=tuple(WEARING.values()))
GREASE = Plan(
    code="grease", zh="润滑", en="Grease", machines=BOTH, rhythm=Rhythm(unit="week", starts=date(2026, 3, 2))
)
HOURS = Meter(code="hours", zh="运行小时", en="Operating hours", machines=BOTH)
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
BACKTEST = "1773300000000000000"
SHA256 = {HERE: "1" * 64, THERE: "2" * 64}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def code(self) -> str:
        """The code of a problem, else nothing."""
        if self.headers.get("content-type") != "application/problem+json":
            return ""
        return str(json.loads(self.text)["code"])

    def json(self) -> Any:
        """The body."""
        return json.loads(self.text)


class TwoLines:
    """The installation with everything on both lines; `named` is what stands in an address, by line and parameter."""

    def __init__(self, folder: Path, database: Engine | None = None) -> None:
        self.floor = ShopFloor(folder, database)
        runs = folder / "backtests"
        change = Change(asset_class="fan", kind="velocity_zones", parameters={"confirm_blocks": 3})
        (runs / BACKTEST).mkdir(parents=True)
        (runs / BACKTEST / "change.toml").write_text(text_of(ChangeSet(note="x", change=(change,))), "utf-8")
        self.desk = Desk(self.floor.database, hasher=QUICK)
        context = replace(
            self.floor.context,
            token=None,
            desk=self.desk,
            backtests=Backtests(runs, ("false",)),
            printing=Printing(folder / "reports", ("false",)),
        )
        self.app: FastAPI = create_app(context)
        self._tokens: dict[str, str] = {}
        self.named: dict[str, dict[str, Any]] = {HERE: {}, THERE: {}}

    def account(self, name: str, *roles: Role, places: tuple[str, ...] = (), person: str = "") -> None:
        """Make an account that is signed in."""
        now_ns = self.floor.clock()
        by = By("andon init", now_ns)
        with writing(self.floor.database) as conn:
            accounts.create(
                conn,
                name,
                roles=roles,
                places=places,
                by=by,
                person=person or name,
                must_change=False,
                hasher=QUICK,
            )
            self._tokens[name] = sessions.begin(conn, name, now_ns, self.desk.lifetimes)

    async def ask(
        self, who: str, method: str, path: str, body: Any = None, media: str = "", **headers: str
    ) -> Answer:
        """One request as a browser of ours would send it, straight into the application."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        path, _, query = path.partition("?")
        sent = {
            "host": "127.0.0.1",
            "cookie": f"andon_session={self._tokens[who]}",
            "sec-fetch-site": "same-origin",
            "content-length": str(len(content)),
            **headers,
        }
        if media or body is not None:
            sent["content-type"] = media or "application/json"
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        return await _asked(self.app, scope, content)

    def tells_of(self, line: str) -> re.Pattern[str]:
        """What tells of a line: its name, its machines, its tickets and tasks."""
        machines = [one for one in self.floor.plant.assets if one.line == line]
        ids = [one.id for one in machines]
        with reading(self.floor.database) as conn:
            tickets = conn.execute(
                select(t.ticket.c.id, t.ticket.c.number).where(t.ticket.c.asset.in_(ids))
            ).all()
            tasks = conn.execute(select(t.problem.c.number).where(t.problem.c.asset.in_(ids))).scalars().all()
        words = [
            line,
            machines[0].area,
            *(one.name for one in machines),
            *(one.name_zh for one in machines),
            *tasks,
        ]
        words += [one.number for one in tickets]
        numbers = "|".join(str(one.id) for one in tickets)
        named = "|".join(map(re.escape, words))
        return re.compile(rf'(?:"ticket":|/tickets/)(?:{numbers})\b|(?<![\w-])(?:{named})(?!\w)')

    def _prints(self, line: str) -> None:
        """The dossier of the line's ticket lies there, made."""
        ticket = str(self.named[line]["ticket_id"])
        place = self.floor.context.photos.parent / "reports" / str(len(line) + int(BACKTEST) + int(ticket))
        place.mkdir(parents=True)
        (place / ORDER).write_text(json.dumps(asdict(Order("dossier", ticket, "en"))), "utf-8")
        (place / FILE).write_bytes(b"%PDF-1.7 made")
        self.named[line]["paper_id"] = f"{place.name}.{ticket}"

    async def furnish(self, admin: str) -> None:
        """Put the same things on both lines, as far as possible by asking for them as `admin`."""
        floor, now_ns = self.floor, self.floor.clock.now_ns
        floor.plant = floor.plant.model_copy(update={"plans": (GREASE,), "meters": (HOURS,)})
        for line in (HERE, THERE):
            floor.clock.now_ns = now_ns - 40 * HOUR_NS
            floor.hears(floor.finding(STOPPING[line], "stop"))
            floor.clock.now_ns = now_ns - 39 * HOUR_NS
            floor.hears(replace(floor.finding(STOPPING[line], "stop"), action=Action.CLEAR))
            floor.clock.now_ns = now_ns
            floor.hears(
                floor.finding(WEARING[line], "bearing_outer_race", ago_s=600),
                floor.finding(STOPPING[line], "stop", ago_s=300),
                self._late(WEARING[line]),
            )
            floor.measures(WEARING[line], hours=1)
            floor.misses(WEARING[line])
            await self._by_hand(admin, line)
            self._prints(line)
        self._by_rows(now_ns)

    async def mark(self, line: str, who: str = "administrator") -> None:
        """Another label on that line, which its address names from now on."""
        span = {"from": "2026-03-12T01:00:00Z", "to": "2026-03-12T02:00:00Z"}
        body = {"asset": WEARING[line], "what": "planned", **span}
        self.named[line]["label_id"] = (await self.ask(who, "POST", "/api/v1/labels", body)).json()["id"]

    def _late(self, asset: str) -> Finding:
        """A finding of three days ago that comes now."""
        found = self.floor.finding(asset, "stop", ago_s=3 * DAY_NS / SECOND_NS)
        return replace(found, origin=Origin(SOURCE, found.at_ns // SECOND_NS, self.floor.clock()))

    async def _by_hand(self, admin: str, line: str) -> None:
        """What people make on a line, through the console itself."""
        asset, named = WEARING[line], self.named[line]
        found = (await self.ask(admin, "GET", f"/api/v1/tickets?asset={asset}")).json()["items"]
        number = found[0]["id"]
        named |= {"asset_id": asset, "ticket_id": number, "other": number, "number": found[0]["number"]}
        named["finding"] = named["finding_id"] = found[0]["headline"]["finding"]
        named["sha256"] = SHA256[line]
        with reading(self.floor.database) as conn:
            named["alarm_id"] = (
                conn.execute(select(alarm_state.c.id).where(alarm_state.c.asset == asset)).scalars().first()
            )
        ticket = f"/api/v1/tickets/{number}"
        end = {
            "for_s": 3600,
            "reason": "bearing is ordered",
            "matcher": {"asset": asset, "conditions": ["drift"]},
        }
        await self.mark(line, admin)
        made = {
            "requisition_id": (
                f"{ticket}/requisitions",
                {"part": "seal kit", "reason": "leaks at the shaft"},
            ),
            "approval_id": (f"{ticket}/approvals", {"step": "cancel", "reason": "line is taken down"}),
            "suppression_id": ("/api/v1/suppressions", end),
            "report_id": (
                "/api/v1/reports",
                {"type": "equipment_repair", "description": f"{asset} hums", "asset": asset},
            ),
        }
        for parameter, (path, body) in made.items():
            answer = await self.ask(admin, "POST", path, body)
            assert answer.status == 201, (parameter, answer.text)
            named[parameter] = answer.json().get("id")
        thought = {"cents": 480_000, "reason": "seal kit and a day"}
        money = (await self.ask(admin, "POST", f"{ticket}/estimate", thought)).json()
        named["cost_request_id"] = money["request"]["id"]
        part = {"part": "6206", "reason": "worn outer race"}  # one more, which nobody issues
        assert (await self.ask(admin, "POST", f"{ticket}/requisitions", part)).status == 201
        problems = (await self.ask(admin, "GET", f"/api/v1/problems?asset={STOPPING[line]}")).json()["items"]
        named["problem_id"] = problems[0]["id"]

    def _by_rows(self, now_ns: int) -> None:
        """What only comes about over days: offers, duties, a drift list, photos."""
        drifting = []
        with writing(self.floor.database) as conn:
            for line in (HERE, THERE):
                number, asset = self.named[line]["ticket_id"], self.named[line]["asset_id"]
                when = {"at_ns": now_ns, "until_ns": now_ns + HOUR_NS, "state": "open", "reason": ""}
                stopped = select(t.ticket.c.id).where(t.ticket.c.asset == STOPPING[line])
                for offered in (number, conn.execute(stopped).scalars().first()):
                    conn.execute(
                        insert(offer).values(ticket=offered, round=1, person="wang.lei", place=1, **when)
                    )
                owed = {"kind": "review", "cycle": 0, "owner": "wang.lei", "note": ""}
                conn.execute(
                    insert(obligation).values(ticket=number, since_ns=now_ns, due_ns=now_ns + DAY_NS, **owed)
                )
                made = {"id": number, "ticket": number, "text": "grease", "by": "wang.lei", "at_ns": now_ns}
                conn.execute(insert(deployment).values(made))
                task = {
                    "deployment": number,
                    "asset": asset,
                    "owner": "wang.lei",
                    "note": "",
                    "evidence": "[]",
                }
                conn.execute(
                    insert(sister_task).values(id=number, due_ns=now_ns + DAY_NS, state="open", **task)
                )
                self.named[line]["sister_id"] = number
                size = {"size": 1, "width": 1, "height": 1, "mime": "image/jpeg", "stage": "api", "cycle": 0}
                conn.execute(
                    insert(t.photo).values(
                        ticket=number, sha256=SHA256[line], by="wang.lei", at_ns=now_ns, **size
                    )
                )
                self._known(conn, line, now_ns)
                self._planned(conn, line, now_ns)
                drifting.append(
                    {
                        "ticket": number,
                        "number": self.named[line]["number"],
                        "asset": asset,
                        "line": line,
                        "priority": "high",
                        "state": "assigned",
                        "person": "wang.lei",
                        "backup": None,
                        "missed_by": ["wang.lei", "li.na"],
                        "misses": 2,
                        "update_due_ns": None,
                    }
                )
            row = {"day": "2026-03-12", "at_ns": now_ns, "number": 2, "items": json.dumps(drifting)}
            conn.execute(insert(drift_list).values(row))
        folder = self.floor.context.photos
        folder.mkdir(exist_ok=True)
        for name in SHA256.values():
            (folder / name).write_bytes(b"\xff\xd8\xff\xd9")

    def _known(self, conn: Connection, line: str, now_ns: int) -> None:
        """An article about a machine of the line, a draft of another, and what a department waits for."""
        named = self.named[line]
        number = 2 * named["ticket_id"]
        for place, state in enumerate(("published", "draft")):
            said = {
                "title": f"Seal of {named['asset_id']}",
                "problem": "",
                "solution": "replaced",
                "note": "",
            }
            what = {"keywords": "[]", "attachments": "[]", "cause": "3.4", "model": "", "component": ""}
            when = {"created_ns": now_ns, "changed_ns": now_ns, "due_ns": now_ns + DAY_NS}
            row = {"id": number + place, "number": f"KB-{number + place}", "state": state, "version": 1}
            about = {"asset": named["asset_id"], "condition": "", "shared": False}
            conn.execute(insert(article).values(**row, **said, **what, **when, **about))
        named["article_id"] = number
        asked = {"ticket": named["ticket_id"], "seq": 1, "person": "wang.lei", "asked_by": "chen.jing"}
        waits = {"from_department": "Production", "to_department": "Maintenance"}
        due = {"asked_ns": now_ns, "due_ns": now_ns + HOUR_NS}
        conn.execute(insert(acknowledgement).values(**asked, **waits, **due))

    def _planned(self, conn: Connection, line: str, now_ns: int) -> None:
        """A run of a plan that is open: the ticket is one of the line's own."""
        named = self.named[line]
        where, due = (
            {"plan": GREASE.code, "asset": named["asset_id"], "ticket": named["ticket_id"]},
            now_ns + DAY_NS,
        )
        standing = {"since_ns": now_ns, "state": "open", "due_ns": due, "opens_ns": None}
        conn.execute(insert(plan_asset).values(**where, **standing))
        times = {"due_ns": due, "first_due_ns": due, "until_ns": due, "opened_ns": now_ns}
        conn.execute(insert(plan_run).values(**where, **times, seq=1, covers=1, why="calendar"))


async def _asked(app: FastAPI, scope: Scope, content: bytes) -> Answer:
    status, headers, body, given = 0, {}, bytearray(), False

    async def receive() -> Message:
        nonlocal given
        if given:
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            body.extend(message.get("body", b""))

    with suppress(Exception):  # it has been answered by then, as 500
        await app(scope, receive, send)
    return Answer(status, headers, body.decode("utf-8", "replace"))
