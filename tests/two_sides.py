"""Andon and a simulated ERP that keep the same tickets, with a network between them that can be made bad."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, select

from andon.database import reading, writing
from andon.events import SECOND_NS, Json
from andon.own_findings import OWN_ASSET
from andon.plant import Plant
from andon.ports import Message, NotifyError
from andon.rules.partners import Partner
from api.partners import deed
from api.problems import STATUS
from simulators.partner import Answer, Erp, Network
from tests.scenario.story import PLANT, Story, stop, time_of
from tests.stores import Stores
from ticketing.breaker import Breaker
from ticketing.cloud_events import as_json
from ticketing.notify.webhook import key_of, signature
from ticketing.outbox import Channel, Retry, deliver
from ticketing.partners import following
from ticketing.partners.confirming import on_answer
from ticketing.partners.hearing import Hearing, hear
from ticketing.partners.tables import partner_sync
from ticketing.partners.verifying import NotHeard, verified
from ticketing.parts.movements import Cause, take_out
from ticketing.parts.tables import part, stock
from ticketing.posting import Answer as Answered
from ticketing.posting import judged
from ticketing.subscriptions import Audience, Subscription
from ticketing.tables import ticket as tickets_table
from ticketing.ticket import Ticket

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STATES = {"pending_dispatch": "OPEN", "assigned": "GIVEN", "in_progress": "WORKING", "resolved": "DONE"}
ERP = Partner(
    code="erp", name="ERP", states=STATES, people={"E-17": "zhang"}, stock=True, parts={"100-7": "SEAL"}
)
"""Its words for our states (`closed` it calls as we do), and its number of our part SEAL."""


WITH_ERP = PLANT.model_copy(update={"partners": (ERP,)})


@dataclass
class Sides:
    """Both sides. `late_s` is how far the ERP's clock is ahead of ours."""

    story: Story
    plant: Plant = WITH_ERP
    erp: Erp = field(default_factory=lambda: Erp(SECRET))
    network: Network = field(default_factory=Network)
    now_ns: int = time_of("10:00")
    late_s: float = 0.0
    asked: list[dict[str, Any]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    @classmethod
    def meet(cls, stores: Stores) -> "Sides":
        """The partnership begins."""
        sides = cls(Story.begins(stores.folder, stores.open()))
        sides.turn(0)
        return sides

    @property
    def partner(self) -> Partner:
        """The partner as the plant document has it."""
        return self.plant.partners[0]

    @property
    def channel(self) -> Channel:
        """The way to the ERP; its breaker is new, as after a restart."""
        taken = on_answer(lambda: self.partner, lambda: self.now_ns)
        rules = Subscription("erp", audience=Audience.PARTNER)
        return Channel(rules, self, Breaker(), taken=taken)

    def send(self, message: Message, now_ns: int) -> str:
        """What the channel's notifier does, over the network of this story."""
        body, at_s = as_json(message), now_ns // SECOND_NS
        headers = {"webhook-id": message.key, "webhook-timestamp": str(at_s)}
        headers["webhook-signature"] = signature(key_of(SECRET), message.key, at_s, body)
        answer = self.network.carry(
            lambda: self.erp.take(headers, body, self.now_ns / SECOND_NS + self.late_s)
        )
        if answer is None:
            raise NotifyError("no answer within 10 s", permanent=False)
        return judged(Answered(answer[0], json.dumps(answer[1]), 1.0 if answer[0] == 425 else None))

    def turn(self, after_s: float) -> None:
        """So much later: the engine follows, what is due is sent, and the ERP asks again for what was not answered."""
        self.now_ns += int(after_s * SECOND_NS)
        following.turn(self.story.tickets, self.plant, self.now_ns)
        deliver(self.story.engine, self.channel, self.now_ns, retry=Retry(first_s=0.1, longest_s=60.0))
        for event in list(self.asked):
            answer = self.network.carry(lambda said=event: self.hears(*self.signed(said)))
            if answer is not None and answer[0] != 425:
                self.asked.remove(event)
                self.answers.append(answer)
                self.erp.answered(answer[1])

    def signed(self, event: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
        """Headers and body as the ERP sends them now, by its own clock."""
        return self.erp.signed(event, self.now_ns / SECOND_NS + self.late_s)

    def asks(self, event: dict[str, Any]) -> Answer:
        """What the ERP is answered at once, on a good day."""
        answer = self.hears(*self.signed(event))
        self.erp.answered(answer[1])
        return answer

    def hears(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """What the route of signed events does."""
        hearing = Hearing(
            self.story.tickets, self.plant, self.partner, deed, lambda code: STATUS.get(code, 422)
        )
        try:
            status, answer = hear(
                hearing, verified([key_of(SECRET)], headers, body, self.now_ns), self.now_ns
            )
        except NotHeard as error:
            return error.status, {"code": error.code}
        return status, dict(answer)

    def stops(self, machine: str) -> Ticket:
        """A machine stops: a ticket opens."""
        finding = stop(machine, "E1", self.now_ns)
        self.story.hears([finding], self.now_ns)
        with reading(self.story.engine) as conn:
            wanted = select(tickets_table.c.id).where(tickets_table.c.asset == machine)
            return self.story.ticket(
                conn.execute(wanted.order_by(tickets_table.c.id.desc()).limit(1)).scalar_one()
            )

    def assigns(self, number: int, person: str = "zhang") -> Ticket:
        """The planner gives it to somebody."""
        before = self.story.ticket(number)
        who = {"actor": "chen", "now_ns": self.now_ns, "expected_version": before.version}
        return self.story.tickets.assign(
            number, person=person, backup="chen", plant=self.plant, reason="by hand", **who
        )

    def stocks(self, quantity: float) -> None:
        """Both sides know the part, and the ERP has so many of it."""
        row = {"code": "SEAL", "name": "Seal", "name_zh": "", "unit": "pcs", "min_stock": 0.0, "cents": 900}
        row |= {"barcode": "", "place": "", "retired": False, "search": "seal", "low_ns": None}
        with writing(self.story.engine) as conn:
            conn.execute(insert(part), row)
        self.erp.stock["100-7"] = quantity

    def issues(self, ticket: Ticket, quantity: float) -> None:
        """The store hands some out for a ticket."""
        with self.story.tickets.transaction(self.now_ns) as book:
            take_out(book, "SEAL", quantity, Cause("li", ticket=ticket.id))

    def held(self) -> float:
        """What there is of the part by our count."""
        with reading(self.story.engine) as conn:
            return float(conn.execute(select(stock.c.on_hand).where(stock.c.part == "SEAL")).scalar() or 0.0)

    def tickets(self) -> list[Ticket]:
        """All that the partner hears of."""
        return [one for one in self.story.page().tickets if one.asset != OWN_ASSET]

    def alarms(self) -> list[Ticket]:
        """The tickets about the partner itself."""
        return [one for one in self.story.page().tickets if one.asset == OWN_ASSET]

    def rows(self) -> list[Mapping[str, Json]]:
        """What the partner has to know."""
        with reading(self.story.engine) as conn:
            return [dict(row) for row in conn.execute(select(partner_sync)).mappings()]

    def differ(self) -> list[str]:
        """What the sides have differently."""
        ours = {one.number: (one.version, self.partner.word(one.state)) for one in self.tickets()}
        theirs = {number: (one.version, one.state) for number, one in self.erp.tickets.items()}
        return [
            f"{n}: {ours.get(n)} {theirs.get(n)}"
            for n in ours.keys() | theirs.keys()
            if ours.get(n) != theirs.get(n)
        ]
