"""A maintenance department at work, by a seed: tickets come in, and people do something legal to them until they are closed.

Every deed goes through the service that the console uses, so that the audit is a real one.
"""

import contextlib
import heapq
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, insert, select

from andon.database import reading, writing
from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS
from tests.scenario.story import ALL_TICKED, PLANT, stop
from ticketing import fieldwork, reports, store, tables
from ticketing.clockwork import turn
from ticketing.errors import TicketingError
from ticketing.knowledge.tables import article, citation
from ticketing.partners.tables import partner_sync
from ticketing.service import Tickets
from ticketing.sql import upsert
from ticketing.ticket import UNRESOLVED, SubState, Ticket, TicketState
from ticketing.voice.tables import acknowledgement, enquiry, nps_answer

DAY_NS = 24 * HOUR_NS
CAUSES = ("3.4", "3.4", "3.4", "2.1", "3.3", "1.1", "5.1", "6.2")
SITE = PLANT.model_copy(
    update={
        "people": (
            *PLANT.people[:2],
            PLANT.people[2].model_copy(update={"role": "administrator"}),
            PLANT.people[3],
        )
    }
)
ARTICLE = 1_000_000
REPAIRS = ("zhang", "li")


class Department:
    """Its tickets, its clock and its dice."""

    def __init__(self, engine: Engine, folder: Path, seed: int, from_ns: int) -> None:
        self.engine = engine
        self.tickets = Tickets(engine, photos=folder / "photos")
        self.dice = random.Random(seed)  # noqa: S311 - a story, no secret
        self.now_ns = from_ns
        self.deeds = 0
        self._coming: list[tuple[int, int, int]] = []
        self._deed: Mapping[TicketState, Callable[[Ticket], None]] = {
            TicketState.PENDING_DISPATCH: self._dispatch,
            TicketState.ASSIGNED: self._answer,
            TicketState.IN_PROGRESS: self._work,
            TicketState.RESOLVED: self._sign_off,
            TicketState.CLOSED: self._after,
        }
        with writing(engine) as conn:
            row = {
                column.name: "" for column in article.columns if str(column.type) in {"TEXT", "VARCHAR(16)"}
            }
            row |= {"id": ARTICLE, "number": "KB-0", "state": "published", "version": 1, "shared": True}
            row |= {"created_ns": 1, "changed_ns": 1, "reviewer": None, "cause": None}
            conn.execute(insert(article).values(**row))

    def works(self, tickets: int, days: float) -> None:
        """So many things happen in so many days, and people deal with them; then the clocks are looked at."""
        for number in range(tickets):
            at_ns = self.now_ns + int(self.dice.random() * days * DAY_NS)
            heapq.heappush(self._coming, (at_ns, -1, number))
        until_ns = self.now_ns + int(days * DAY_NS)
        while self._coming and self._coming[0][0] < until_ns:
            self.now_ns, ticket, number = heapq.heappop(self._coming)
            self.now_ns += self.deeds  # no two deeds at the same nanosecond
            self.deeds += 1
            if ticket < 0:
                self._happens()
            else:
                self._goes_on(ticket)
        self.now_ns = until_ns
        while turn(self.tickets, SITE, self.now_ns, turn_s=60):
            pass

    def _happens(self) -> None:
        before = self._newest()
        if self.dice.random() < 0.4:
            self._complains()
        else:
            machine, reason = f"M{self.dice.randint(1, 5)}", f"E{self.dice.randint(1, 3)}"
            finding = stop(machine, reason, self.now_ns - SECOND_NS, id=f"f{self.deeds}")
            with writing(self.engine) as conn:
                self.tickets.apply(conn, [finding], SITE, self.now_ns)
        for ticket in range(before + 1, self._newest() + 1):
            self._again(ticket, 2.0)

    def _complains(self) -> None:
        said = {
            "type": "customer_complaint",
            "description": "it leaks",
            "channel": "phone",
            "phone": f"13800{self.dice.randint(0, 3):06}",
            "reporter": f"customer {self.dice.randint(0, 3)}",
        }
        if self.dice.random() < 0.4:
            said["fault_type"] = "no_progress"
        if self.dice.random() < 0.1:
            said["description"] = ""  # refused
        got = reports.receive(
            self.tickets, json.dumps(said).encode(), actor="desk", came_by="phone", now_ns=self.now_ns
        )
        if self.dice.random() < 0.95:  # else whoever brought it is gone
            reports.take(self.tickets, got.id, SITE, self.now_ns)

    def _newest(self) -> int:
        with reading(self.engine) as conn:
            return conn.execute(select(func.max(tables.ticket.c.id))).scalar() or 0

    def _again(self, ticket: int, within_h: float) -> None:
        after_ns = int(self.dice.random() ** 3 * within_h * HOUR_NS) + MINUTE_NS
        heapq.heappush(self._coming, (self.now_ns + after_ns, ticket, 0))

    def _goes_on(self, number: int) -> None:
        with reading(self.engine) as conn:
            found = store.ticket(conn, number).ticket
        with contextlib.suppress(TicketingError):  # a rule of its own forbids it: another deed will do
            self._deed[found.state](found)
        if self.dice.random() < 0.2:
            self._is_asked_about(found)
        if found.state is not TicketState.CLOSED or self.dice.random() < 0.3:
            self._again(number, 30.0)

    def _by(self, ticket: Ticket, actor: str) -> dict[str, Any]:
        return {"actor": actor, "now_ns": self.now_ns, "expected_version": ticket.version}

    def _pair(self) -> dict[str, str]:
        person, backup = self.dice.sample(REPAIRS, 2)
        return {"person": person, "backup": backup}

    def _gives_up(self, ticket: Ticket, actor: str) -> None:
        why = {"reason": "looked at it", "approver": "chen", "plant": SITE, **self._by(ticket, actor)}
        t = tables.ticket.c
        with reading(self.engine) as conn:
            wanted = select(t.id).where(t.state.in_(UNRESOLVED), t.id != ticket.id).order_by(t.id)
            others = conn.execute(wanted).scalars().all()
        if others and self.dice.random() < 0.6:
            other = self.dice.choice(others)
            self.tickets.duplicate(ticket.id, of=other, **why)
        else:
            self.dice.choice((self.tickets.false_alarm, self.tickets.cancel))(ticket.id, **why)

    def _dispatch(self, ticket: Ticket) -> None:
        if self.dice.random() < 0.15:
            self._gives_up(ticket, "chen")
        else:
            said = {**self._pair(), "plant": SITE, "reason": "by hand"}
            self.tickets.assign(ticket.id, **said, **self._by(ticket, "chen"))

    def _hands_over(self, ticket: Ticket) -> None:
        said = {**self._pair(), "plant": SITE, "reason": "the other knows it", "evidence": ("call",)}
        self.tickets.transfer(ticket.id, **said, **self._by(ticket, "chen"))

    def _answer(self, ticket: Ticket) -> None:
        chance, person = self.dice.random(), ticket.assignee or ""
        if chance < 0.75:
            self.tickets.accept(ticket.id, sub_state=SubState.SITE_SURVEY, **self._by(ticket, person))
        elif chance < 0.85:
            said = {"reason": "no time", "evidence": ("call",)}
            self.tickets.decline(ticket.id, **said, **self._by(ticket, person))
        elif chance < 0.9:
            self._hands_over(ticket)
        else:
            self._gives_up(ticket, person)

    def _work(self, ticket: Ticket) -> None:
        chance, person = self.dice.random(), ticket.assignee or ""
        if chance < 0.35:
            fieldwork.arrive(
                self.tickets, ticket.id, plant=SITE, position="hall 1", **self._by(ticket, person)
            )
        elif chance < 0.4:
            self._hands_over(ticket)
        elif chance < 0.5:
            self.tickets.comment(ticket.id, text="looked at it", actor=person, now_ns=self.now_ns)
        else:
            self._resolves(ticket, person)

    def _resolves(self, ticket: Ticket, person: str) -> None:
        row = dict.fromkeys(("mime", "stage", "by"), "x") | dict.fromkeys(("size", "width", "height"), 1)
        row |= {"ticket": ticket.id, "sha256": f"{self.deeds}", "cycle": ticket.reopen_count}
        with writing(self.engine) as conn:
            conn.execute(insert(tables.photo).values(**row, at_ns=self.now_ns))
            if self.dice.random() < 0.4:
                cited = {"ticket": ticket.id, "article": ARTICLE, "by": person, "at_ns": self.now_ns}
                upsert(conn, citation, [cited])
        said = {"summary": "outer ring replaced", "cause": self.dice.choice(CAUSES), "same_kind": False}
        self.tickets.resolve(ticket.id, **said, plant=SITE, **self._by(ticket, person))

    def _sign_off(self, ticket: Ticket) -> None:
        chance = self.dice.random()
        if chance < 0.65:
            self.tickets.sign(ticket.id, ticks=ALL_TICKED, plant=SITE, **self._by(ticket, "chen"))
        elif chance < 0.8:
            said = {"reason": "it leaks still", "evidence": ("call",)}
            self.tickets.reject(ticket.id, **said, **self._by(ticket, "chen"))
        elif chance < 0.9:
            why = {"reason": "nobody answers", "approver": "wang", "plant": SITE}
            self.tickets.close_unsigned(ticket.id, **why, **self._by(ticket, "chen"))

    def _after(self, ticket: Ticket) -> None:
        if self.dice.random() < 0.2:
            said = {"reason": "not done", "evidence": ("call",), "plant": SITE}
            self.tickets.reopen(ticket.id, **said, **self._by(ticket, "wang"))
            return
        score = {"ticket": ticket.id, "cycle": ticket.reopen_count, "score": self.dice.randint(0, 10)}
        with writing(self.engine) as conn:
            upsert(conn, nps_answer, [{**score, "by": "chen", "at_ns": self.now_ns}])

    def _is_asked_about(self, ticket: Ticket) -> None:
        """Somebody asks where it is, another department is asked, and a partner is told."""
        at = {"ticket": ticket.id, "at_ns": self.now_ns, "by": "chen"}
        asked = {"ticket": ticket.id, "seq": self.deeds, "asked_ns": self.now_ns, "due_ns": self.now_ns}
        asked |= dict.fromkeys(("from_department", "to_department", "person", "asked_by"), "x")
        late_ns = self.now_ns + self.dice.randint(1, 40) * MINUTE_NS
        asked |= {
            "acknowledged_ns": late_ns if self.dice.random() < 0.8 else None,
            "void_ns": late_ns if self.dice.random() < 0.1 else None,
        }
        told = {"partner": "erp", "ticket": ticket.id, "version": self.deeds, "state": str(ticket.state)}
        told |= {"changed_ns": self.now_ns, "confirmed_ns": late_ns if self.dice.random() < 0.9 else None}
        told["failed_ns"] = late_ns if self.dice.random() < 0.2 else None
        with writing(self.engine) as conn:
            counted = self.dice.random() < 0.8
            conn.execute(insert(enquiry).values(**at, channel="phone", counted=counted, note=""))
            conn.execute(insert(acknowledgement).values(**asked))
            conn.execute(insert(partner_sync).values(**told))
