"""A plant on a virtual clock, told in sentences: `plant.at("10:00").stops("M7", "E1")` ... `.expects(tickets=1)`.

Findings go into real ticketing on a real database; people take their steps through the same service as the console.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

from PIL import Image
from sqlalchemy import Engine, select

from andon.database import reading, writing
from andon.events import SECOND_NS, Action, Family, Finding, Number, Origin
from andon.plant import Asset, Person, Plant
from tests.stores import opened
from ticketing import store
from ticketing.demands import Ticks
from ticketing.service import Tickets
from ticketing.tables import activation, master
from ticketing.ticket import SubState, Ticket

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
ALL_TICKED = Ticks(solved=True, no_derived_risk=True, no_further_support=True)

PLANT = Plant(
    name="Story",
    assets=tuple(
        Asset(
            id=f"M{n}",
            name=f"Press {n}",
            name_zh=f"压机{n}",
            asset_class="press",
            serial=f"SN-{n:03}",
            path=f"acme/north/forming/L{1 + n % 2}/c{n}",
            owner="chen",
        )
        for n in range(1, 21)
    ),
    people=(
        Person(id="zhang", name="Zhang Wei", role="technician", tags=("bearing", "mechanics")),
        Person(id="li", name="Li Na", role="technician", tags=("bearing", "mechanics")),
        Person(id="wang", name="Wang Fang", role="technician", tags=("electrics",)),
        Person(id="chen", name="Chen Jie", role="line leader"),
    ),
    skills={"machine_condition": "bearing", "stop": "mechanics", "data_quality": "electrics"},
)


def photo(shade: int = 120) -> bytes:
    """A small photo, another one for every shade."""
    written = BytesIO()
    Image.new("RGB", (6, 4), (shade % 256, 30, 30)).save(written, "PNG")
    return written.getvalue()


def time_of(clock: str) -> int:
    """Nanoseconds of "10:00", "10:00:30.5" or "Wed 10:00" in the week of the story ("+8 Wed 10:00" a week later)."""
    *day, clock = clock.split()
    days = int(day[0]) - 1 if day and day[0].startswith("+") else 0
    if day and not day[-1].startswith("+"):
        days += ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun").index(day[-1])
    hours, minutes, *seconds = clock.split(":")
    moment = MONDAY + timedelta(days=days, hours=int(hours), minutes=int(minutes))
    return int(moment.timestamp()) * SECOND_NS + int(float(seconds[0] if seconds else 0) * SECOND_NS)


def stop(asset: str, reason: str, at_ns: int, **changes: object) -> Finding:
    """What the stop detector says about a machine that stopped."""
    finding = Finding(
        id=f"{asset}/{reason}/{at_ns}/raise",
        asset=asset,
        component=reason,
        family=Family.STOP,
        condition="stop",
        action=Action.RAISE,
        at_ns=at_ns,
        onset_ns=at_ns,
        severity=600,
        confidence=1.0,
        numbers=(Number("severity", 600.0, "1"),),
        evidence={},
        detector="stop_alarm",
        version="1",
        parameters_hash="0" * 16,
        origin=Origin("mes", at_ns % 1_000_003, at_ns + SECOND_NS),
        text={"message": f"stopped: {reason}", "category": "mechanical"},
    )
    return replace(finding, **changes)


def cleared(finding: Finding, at_ns: int) -> Finding:
    """The word that ends what a finding began."""
    action = Action.CLEAR
    return replace(
        finding,
        id=f"{finding.id}/{at_ns}/clear",
        action=action,
        at_ns=at_ns,
        origin=replace(finding.origin, received_ns=at_ns + SECOND_NS),
        evidence={},
    )


def condition(
    asset: str, name: str, at_ns: int, *, component: str = "DE", severity: int = 500, **changes: object
) -> Finding:
    """What a vibration detector says about a bearing."""
    return replace(
        stop(asset, component, at_ns),
        **{
            "id": f"{asset}/{component}/{name}/{at_ns}/{severity}",
            "family": Family.MACHINE_CONDITION,
            "condition": name,
            "severity": severity,
            "detector": name.partition("_")[0],
            "evidence": {"trend": {"channel": f"{component}/velocity_rms", "at_ns": [at_ns], "value": [5.0]}},
            "text": {},
            **changes,
        },
    )


@dataclass
class Story:
    """A plant, its database and what has been said so far."""

    engine: Engine
    tickets: Tickets
    plant: Plant = PLANT

    @classmethod
    def begins(cls, folder: Path, engine: Engine | None = None) -> "Story":
        """In a new store, or in a new database in that folder."""
        engine = engine or opened(folder / "andon.db")
        return cls(engine, Tickets(engine, photos=folder / "photos"))

    def at(self, clock: str) -> "Moment":
        """What happens at that time."""
        return Moment(self, time_of(clock))

    def hears(self, findings: Sequence[Finding], now_ns: int) -> dict[str, int]:
        """All findings of one engine batch, in one transaction."""
        with writing(self.engine) as conn:
            return dict(self.tickets.apply(conn, findings, self.plant, now_ns))

    def ticket(self, number: int) -> Ticket:
        """The ticket as it is now."""
        return self.detail(number).ticket

    def detail(self, number: int) -> store.TicketDetail:
        """All that stands on its page."""
        with reading(self.engine) as conn:
            return store.ticket(conn, number)

    def page(self, **wanted: object) -> store.Page:
        """The tickets wanted."""
        with reading(self.engine) as conn:
            return store.tickets(conn, store.Filter(**wanted), sort=store.Sort.OLDEST, limit=1000)

    def problems(self) -> Sequence[store.Problem]:
        """All root-cause tasks."""
        with reading(self.engine) as conn:
            return store.problems(conn)

    def partition(self) -> set[frozenset[str]]:
        """The findings by ticket: what must not depend on the order they came in. Merged tickets hold none."""
        found = (self.detail(ticket.id).occurrences for ticket in self.page().tickets)
        return {frozenset(o.finding for o in occurrences) for occurrences in found if occurrences}

    def anchors(self) -> dict[str, list[int]]:
        """The anchors of each key's masters."""
        with reading(self.engine) as conn:
            rows = conn.execute(select(master.c.key, master.c.anchor_ns).order_by(master.c.anchor_ns)).all()
        return {key: [row.anchor_ns for row in rows if row.key == key] for key in {row.key for row in rows}}


@dataclass
class Moment:
    """One time on the story's clock; everything that happens then returns it, to be told on."""

    story: Story
    at_ns: int

    def stops(self, asset: str, reason: str, *, arrives: str = "", **changes: object) -> "Moment":
        """The machine stops for that reason; the message may arrive later."""
        return self.says(stop(asset, reason, self.at_ns, **changes), arrives=arrives)

    def runs(self, asset: str, *, arrives: str = "") -> "Moment":
        """The machine runs again: all that stands on it is over."""
        with reading(self.story.engine) as conn:
            standing = conn.execute(
                select(activation).where(activation.c.asset == asset, activation.c.clear_ns.is_(None))
            ).all()
        for row in standing:
            detail = self.story.detail(row.ticket)
            said = next(o for o in detail.occurrences if o.finding == row.finding)
            over = stop(
                asset,
                said.component,
                self.at_ns,
                family=said.family,
                condition=said.condition,
                detector=said.detector,
                onset_ns=said.onset_ns,
            )
            self.says(
                replace(over, id=f"{row.finding}/over/{self.at_ns}", action=Action.CLEAR), arrives=arrives
            )
        return self

    def shows(
        self, asset: str, name: str, *, component: str = "DE", severity: int = 500, **changes: object
    ) -> "Moment":
        """A detector raises a condition of a bearing."""
        return self.says(
            condition(asset, name, self.at_ns, component=component, severity=severity, **changes)
        )

    def says(self, finding: Finding, *, arrives: str = "") -> "Moment":
        """A finding as it is."""
        received_ns = time_of(arrives) if arrives else max(self.at_ns, finding.at_ns) + SECOND_NS
        finding = replace(finding, origin=replace(finding.origin, received_ns=received_ns))
        self.story.hears([finding], received_ns)
        return self

    def repairs(
        self,
        number: int,
        *,
        who: str = "zhang",
        cause: str = "3.4",
        summary: str = "outer ring replaced",
    ) -> "Moment":
        """The ticket is given to someone who does the work and resolves it, all at this time."""
        tickets, now_ns = self.story.tickets, self.at_ns
        by = {"actor": "chen", "now_ns": now_ns}
        ticket = self.story.ticket(number)
        if ticket.state == "pending_dispatch":
            ticket = tickets.assign(
                number,
                person=who,
                backup="chen",
                plant=self.story.plant,
                reason="by hand",
                expected_version=ticket.version,
                **by,
            )
        if ticket.state == "assigned":
            ticket = tickets.accept(
                number,
                sub_state=SubState.SITE_SURVEY,
                actor=who,
                now_ns=now_ns,
                expected_version=ticket.version,
            )
        tickets.add_photo(number, body=photo(ticket.version), stage="repair", actor=who, now_ns=now_ns)
        tickets.resolve(
            number,
            summary=summary,
            cause=cause,
            same_kind=False,
            plant=self.story.plant,
            actor=who,
            now_ns=now_ns,
            expected_version=ticket.version,
        )
        return self

    def signs(self, number: int, *, who: str = "chen") -> "Moment":
        """The requester signs."""
        self.story.tickets.sign(
            number,
            ticks=ALL_TICKED,
            plant=self.story.plant,
            actor=who,
            now_ns=self.at_ns,
            expected_version=self.story.ticket(number).version,
        )
        return self

    def expects(self, *, tickets: int | None = None, problems: int | None = None, **states: int) -> "Moment":
        """As many tickets and root-cause tasks, and as many tickets in the states named."""
        page = self.story.page()
        if tickets is not None:
            assert page.total == tickets, [t.headline for t in page.tickets]
        if problems is not None:
            assert len(self.story.problems()) == problems
        for state, n in states.items():
            assert page.counts[state] == n
        return self
