"""Two sides that keep the same tickets: whatever is lost, doubled or late in between, they end equal, and nothing is done twice."""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from andon.channels import make_channels, partner_keys
from andon.config import Notify
from andon.database import reading, writing
from andon.events import MINUTE_NS, SECOND_NS
from api.context import Context
from simulators.partner import Answer, Erp, Network, serve
from tests.shop_floor import BASE, ShopFloor, console
from tests.stores import Stores
from tests.two_sides import ERP, SECRET, Sides
from ticketing import fieldwork
from ticketing.demands import Hold
from ticketing.errors import TicketingError
from ticketing.message_tables import outbox
from ticketing.outbox import deliver
from ticketing.partners import following, seeing
from ticketing.partners.confirming import on_answer
from ticketing.partners.sending import send_again
from ticketing.partners.tables import partner_event
from ticketing.tables import ticket_event
from ticketing.ticket import TicketState


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    """Both sides, on SQLite."""
    return Sides.meet(Stores(tmp_path))


class Down(Network):
    """Nobody answers."""

    def carry(self, deliver: Callable[[], Answer]) -> Answer | None:  # noqa: ARG002 - nothing is carried
        return None


def test_each_change_is_told_in_the_partner_s_words_and_confirmed_by_its_answer(stores: Stores):
    sides = Sides.meet(stores)
    ticket = sides.stops("M1")
    sides.turn(1)
    sides.assigns(ticket.id)
    sides.turn(1)
    assert {number: (one.version, one.was) for number, one in sides.erp.tickets.items()} == {
        ticket.number: (2, ["OPEN", "GIVEN"])
    }
    assert [(row["version"], row["state"], row["failed_ns"]) for row in sides.rows()] == [
        (1, "pending_dispatch", None),
        (2, "assigned", None),
    ]
    assert all(row["confirmed_ns"] - row["changed_ns"] <= 2 * SECOND_NS for row in sides.rows())


def test_what_is_confirmed_by_a_retry_inside_its_minute_is_no_failure(sides: Sides):
    sides.network = Down()
    sides.stops("M1")
    for _ in range(5):
        sides.turn(10)
    sides.network = Network()
    sides.turn(8)
    (row,) = sides.rows()
    assert (row["failed_ns"], row["confirmed_ns"]) == (None, row["changed_ns"] + 58 * SECOND_NS)
    assert sides.alarms() == []


def test_a_partner_that_is_down_for_hours_has_one_critical_ticket_and_is_equal_after_it(stores: Stores):
    sides = Sides.meet(stores)
    sides.network = Down()
    first, second = sides.stops("M1"), sides.stops("M2")
    sides.turn(61)
    sides.assigns(first.id)
    for _ in range(30):
        sides.turn(600)
    (alarm,) = sides.alarms()
    assert (alarm.priority, alarm.headline.condition, alarm.alarm_active) == (
        "critical",
        "partner_unsynced",
        True,
    )
    assert alarm.occurrence_count == 3  # two tickets, of one of them two changes
    assert {row["ticket"] for row in sides.rows() if row["failed_ns"]} == {first.id, second.id}
    failed = [row["failed_ns"] - row["changed_ns"] for row in sides.rows()]
    assert failed == [MINUTE_NS] * 3
    sides.network = Network()
    for _ in range(15):
        sides.turn(300)
    assert sides.differ() == []
    assert not sides.alarms()[0].alarm_active
    with reading(sides.story.engine) as conn:
        state = seeing.state_of(conn, ERP, 0)
    assert (state.told, state.failures, state.waiting, state.out_of_sync) == (2, 2, 0, 0)


def test_a_bare_2xx_is_no_confirmation_for_it_may_stand_in_a_queue(sides: Sides):
    sides.erp.take = lambda *_: (202, {})
    sides.stops("M1")
    sides.turn(1)
    sides.turn(61)
    assert [row["confirmed_ns"] for row in sides.rows()] == [None]
    assert len(sides.alarms()) == 1
    assert sides.asks(sides.erp.event("andon.partner.confirmed.v1", {"ticket": "A-1", "version": 1}))[0] in {
        200,
        404,
    }


def test_a_step_of_the_partner_is_taken_once_however_often_it_is_said(sides: Sides):
    ticket = sides.stops("M1")
    sides.turn(1)
    event = sides.erp.wants(
        ticket.number, step="assign", **{"with": {"person": "zhang", "backup": "chen", "reason": "ERP 4711"}}
    )
    first = sides.asks(event)
    again = sides.asks(event)
    assert (
        first
        == again
        == (200, {"outcome": "applied", "code": "", "ticket": ticket.number, "version": 2, "state": "GIVEN"})
    )
    detail = sides.story.detail(ticket.id)
    assert [(one.action, one.actor, one.channel) for one in detail.events if one.action == "assign"] == [
        ("assign", "partner/erp", "partner/erp")
    ]
    other = {**event, "data": {**event["data"], "version": 9}}
    assert sides.asks(other) == (409, {"code": "id_reused"})


def test_a_person_of_the_partner_acts_as_who_the_mapping_says(sides: Sides):
    ticket = sides.stops("M1")
    sides.assigns(ticket.id, "zhang")
    sides.turn(1)
    with_ = {"with": {"sub_state": "site_survey"}}
    assert (
        sides.asks(sides.erp.wants(ticket.number, step="accept", user="E-99", **with_))[1]["code"]
        == "step_refused"
    )
    assert sides.asks(sides.erp.wants(ticket.number, state="WORKING", user="E-17", **with_))[0] == 200
    assert sides.story.ticket(ticket.id).state is TicketState.IN_PROGRESS


def test_what_the_rules_refuse_is_answered_with_its_code_kept_and_the_truth_is_told(stores: Stores):
    sides = Sides.meet(stores)
    ticket = sides.stops("M1")
    sides.turn(1)
    status, answer = sides.asks(sides.erp.wants(ticket.number, state="closed"))
    assert (status, answer["code"], answer["state"], answer["version"]) == (409, "no_edge", "OPEN", 1)
    sides.erp.tickets[ticket.number].state = "closed"  # it did so nevertheless
    sides.erp.tickets[ticket.number].version = 0
    sides.turn(1)
    assert sides.differ() == []
    with reading(sides.story.engine) as conn:
        (kept,) = seeing.events(conn, partner="erp", outcome="refused")
    assert (kept.number, kept.code, kept.answer["allowed"]) == (
        ticket.number,
        "no_edge",
        ["cancel", "false_alarm", "duplicate"],
    )


def test_who_looked_at_an_older_version_is_refused_and_one_ahead_is_asked_to_wait(sides: Sides):
    ticket = sides.stops("M1")
    sides.turn(1)
    stale = sides.erp.wants(ticket.number, step="cancel")
    sides.assigns(ticket.id)
    assert sides.asks(stale)[1]["code"] == "stale_version"
    ahead = sides.erp.wants(ticket.number, step="decline")
    ahead["data"]["version"] = 3
    assert sides.asks(ahead) == (425, {"code": "too_early"})
    with reading(sides.story.engine) as conn:
        assert [one.event for one in seeing.events(conn)] == [stale["id"]]  # what is too early may come again


def test_an_echo_ends_with_the_first_answer(sides: Sides):
    ticket = sides.stops("M1")
    sides.turn(1)
    before = len(sides.story.detail(ticket.id).events)
    for _ in range(3):
        assert sides.asks(sides.erp.wants(ticket.number, state="OPEN"))[1]["outcome"] == "already"
        sides.turn(1)
    assert len(sides.story.detail(ticket.id).events) == before
    assert len(sides.rows()) == 1


def test_two_that_insist_are_stopped(sides: Sides):
    ticket = sides.stops("M1")
    sides.assigns(ticket.id)
    sides.turn(1)
    codes = []
    for turn in range(24):
        who = ("li", "zhang")[turn % 2]
        with_ = {"person": who, "backup": "chen", "reason": "shift plan", "evidence": ["plan"]}
        codes.append(
            sides.asks(sides.erp.wants(ticket.number, step="transfer", **{"with": with_}))[1]["code"]
        )
    assert codes == [""] * 20 + ["echo_loop"] * 4


@pytest.mark.parametrize(("late_s", "status"), [(299, 200), (-299, 200), (301, 401), (-301, 401)])
def test_a_clock_may_be_five_minutes_off(sides: Sides, late_s: float, status: int):
    ticket = sides.stops("M1")
    sides.turn(1)
    sides.late_s = late_s
    assert sides.asks(sides.erp.wants(ticket.number, state="OPEN"))[0] == status


def test_the_partner_s_list_confirms_what_is_right_and_the_rest_is_told_again(stores: Stores):
    sides = Sides.meet(stores)
    right, wrong = sides.stops("M1"), sides.stops("M2")
    sides.turn(1)
    sides.erp.tickets[wrong.number].state = "DONE"
    status, answer = sides.asks(sides.erp.keeps())
    assert (status, answer["sent_again"]) == (200, [wrong.number])
    sides.erp.tickets[wrong.number].version = 0  # it lost it
    sides.turn(1)
    assert sides.differ() == []
    assert right.number in sides.erp.tickets


def test_an_order_of_the_partner_opens_one_ticket_by_the_rules_of_reports(sides: Sides):
    reads = {
        "description": "note",
        "asset": "equipment.no",
        "reporter": "customer.name",
        "order_number": "no",
    }
    words = {"reads": {"order": reads}, "events": {"Order.Created": "order"}}
    crm = ERP.model_copy(update={**words, "defaults": {"order": {"type": "hardware_fault"}}})
    sides.plant = sides.plant.model_copy(update={"partners": (crm,)})
    said = {
        "no": "4711",
        "note": "oil under the press",
        "equipment": {"no": "M3"},
        "customer": {"name": "Lin"},
    }
    event = sides.erp.event("Order.Created", said)
    status, answer = sides.asks(event)
    assert (status, answer["state"]) == (200, "OPEN")
    assert sides.asks(event) == (status, answer)
    (ticket,) = sides.tickets()
    assert (ticket.asset, ticket.reporter, ticket.description) == ("M3", "Lin", "oil under the press")
    refused = sides.asks(sides.erp.event("Order.Created", {"no": "4712"}))
    assert (refused[0], refused[1]["outcome"]) == (422, "refused")


def test_the_master_s_level_takes_nothing_back_that_was_handed_out_meanwhile(stores: Stores):
    sides = Sides.meet(stores)
    sides.stocks(10)
    ticket = sides.stops("M1")
    sides.turn(1)
    assert sides.asks(sides.erp.counts("100-7"))[1]["on_hand"] == 10
    on_its_way = sides.erp.counts("100-7")
    sides.issues(ticket, 3)
    assert sides.asks(on_its_way)[1]["on_hand"] == 7
    sides.erp.stock["100-7"] += 5  # a delivery, before it has heard of the three
    newer, newest = sides.erp.counts("100-7"), sides.erp.counts("100-7")
    assert sides.asks(newest)[1]["on_hand"] == 12
    assert sides.asks(newer)[1]["code"] == "older_sequence"
    sides.turn(1)
    assert sides.held() == sides.erp.stock["100-7"] == 12
    assert sides.asks(sides.erp.counts("100-7"))[1]["on_hand"] == 12
    unknown = sides.erp.event(
        "andon.partner.stock.v1", {"part": "X", "on_hand": 1, "sequence": 9, "through": 0}
    )
    assert sides.asks(unknown)[1]["outcome"] == "refused"


OPS = (
    "stop",
    "assign",
    "accept",
    "hold",
    "cancel",
    "erp_assign",
    "erp_accept",
    "erp_cancel",
    "issue",
    "count",
    "wait",
    "long",
    "restart",
)


@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
)
@given(ops=st.lists(st.sampled_from(OPS), min_size=12, max_size=30), dice=st.integers(0, 2**16))
def test_whatever_the_network_does_both_sides_end_equal_and_nothing_is_done_twice(
    tmp_path_factory: pytest.TempPathFactory, ops: list[str], dice: int
):
    sides = Sides.meet(Stores(tmp_path_factory.mktemp("sides")))
    chance = random.Random(dice)  # noqa: S311 - dice
    sides.network = Network(lose=0.3, lose_answer=0.3, double=0.3, delay=0.3, chance=chance)
    sides.stocks(100)
    sides.asks(sides.erp.counts("100-7"))
    for op in ("stop", *ops):
        happens(sides, op, chance)
        sides.turn(chance.choice((0.2, 3, 20)))
    sides.network.heal()
    for _ in range(12):
        sides.turn(400)
    assert sides.differ() == []
    assert sides.asked == []
    assert sides.held() == sides.erp.stock["100-7"]
    assert all(row["confirmed_ns"] is not None for row in sides.rows())
    assert not any(one.alarm_active for one in sides.alarms())
    with reading(sides.story.engine) as conn:
        done = select(func.count()).where(ticket_event.c.channel == "partner/erp")
        applied = select(func.count()).where(
            partner_event.c.outcome == "applied", partner_event.c.ticket.is_not(None)
        )
        assert conn.execute(done).scalar_one() == conn.execute(applied).scalar_one()
    sides.story.engine.dispose()


def happens(sides: Sides, op: str, chance: random.Random) -> None:
    """One thing that people or the ERP do, if it can be done."""
    tickets = sides.tickets()
    known = [one for one in tickets if one.number in sides.erp.tickets]
    one = chance.choice(tickets) if tickets else None
    try:
        if op == "stop":
            sides.stops(f"M{1 + len(tickets) % 20}")
        elif op in {"assign", "accept", "hold", "cancel"} and one is not None:
            by_hand(sides, op, one)
        elif op.startswith("erp_") and known:
            sides.asked.append(sides.erp.wants(chance.choice(known).number, **ERP_WANTS[op]))
        elif op == "issue" and one is not None:
            sides.issues(one, 1)
        elif op == "count":
            sides.asked.append(sides.erp.counts("100-7"))
        elif op == "long":
            sides.turn(1800)
    except TicketingError:
        pass  # it could not be done just then


GIVEN = {"person": "zhang", "backup": "chen", "reason": "shift plan"}
ERP_WANTS = {
    "erp_assign": {"step": "assign", "with": GIVEN},
    "erp_accept": {"state": "WORKING", "user": "E-17", "with": {"sub_state": "site_survey"}},
    "erp_cancel": {"step": "cancel", "with": {"reason": "customer called it off", "approver": "chen"}},
}


def by_hand(sides: Sides, op: str, ticket) -> None:
    by = {"actor": "zhang", "now_ns": sides.now_ns, "expected_version": ticket.version}
    service = sides.story.tickets
    if op == "assign":
        sides.assigns(ticket.id)
    elif op == "accept":
        service.accept(ticket.id, sub_state="site_survey", **by)
    elif op == "hold":
        fieldwork.hold(
            service,
            ticket.id,
            hold=Hold.PLANNED_STOP,
            reason="waits for the stop on Friday",
            evidence=["plan"],
            **by,
        )
    else:
        why = {"reason": "was planned work", "approver": "chen", "plant": sides.plant}
        service.cancel(ticket.id, **why, **{**by, "actor": "chen"})


def test_what_is_not_signed_by_the_partner_is_not_heard(sides: Sides):
    ticket = sides.stops("M1")
    sides.turn(1)
    headers, body = sides.signed(sides.erp.wants(ticket.number, step="cancel"))
    other = {**headers, "webhook-signature": "v1,MDAw v2,x " + "v1," * 500}
    late = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}
    for wrong in (other, late, {}, {**headers, "webhook-id": "another"}):
        assert sides.hears(wrong, body)[0] == 401
    assert sides.hears(headers, body + b" ")[1] == {"code": "signature_wrong"}
    event = sides.erp.event("andon.partner.order.v1", {})
    for change in ({"source": "urn:andon:Story"}, {"specversion": "0.3"}, {"data": {"description": "a\0b"}}):
        assert sides.asks({**event, **change})[1] == {"code": "not_an_event"}
    with reading(sides.story.engine) as conn:
        assert list(seeing.events(conn)) == []


def test_send_again_sends_what_waits_at_once(sides: Sides):
    sides.network = Down()
    sides.stops("M1")
    for _ in range(8):
        sides.turn(600)
    sides.network = Network()
    with sides.story.tickets.transaction(sides.now_ns) as book:
        assert send_again(book, sides.plant, ERP) == 1
    sides.turn(1)
    assert sides.differ() == []


def test_a_movement_that_was_given_up_is_told_once_the_partner_is_there_again(sides: Sides):
    sides.stocks(10)
    ticket = sides.stops("M1")
    sides.turn(1)
    sides.asks(sides.erp.counts("100-7"))
    sides.network = Down()
    sides.issues(ticket, 3)
    sides.turn(1)
    with writing(sides.story.engine) as conn:
        conn.execute(update(outbox).where(outbox.c.kind == "stock.moved").values(state="dead"))
    sides.network = Network()
    sides.stops("M2")
    sides.turn(60)
    sides.turn(3601)
    assert sides.held() == sides.erp.stock["100-7"] == 7


def test_a_real_erp_over_http_is_told_and_heard(tmp_path: Path):
    floor, erp = ShopFloor(tmp_path), Erp(SECRET)
    floor.plant = floor.plant.model_copy(update={"partners": (ERP,)})
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    with running(serve(erp, Network(), 0, now=floor.clock, say=lambda _: None)) as url:
        words = {"name": "erp", "kind": "partner", "url": url, "secret": {"file": str(secret)}}
        settings = Notify.model_validate({**words, "allow_private": ["127.0.0.1"]})
        channel = make_channels(tmp_path, [settings], lambda *_: ())["erp"]
        channel.taken = on_answer(lambda: ERP, floor.clock)
        following.turn(floor.tickets, floor.plant, floor.clock())
        floor.hears(floor.finding("L1-SPN-01", "zone_d"))
        following.turn(floor.tickets, floor.plant, floor.clock())
        assert deliver(floor.database, channel, floor.clock()) == {"sent": 1}
    ((number, kept),) = erp.tickets.items()
    with reading(floor.database) as conn:
        assert seeing.state_of(conn, ERP, 0).last_confirmed_ns == floor.clock()
    context = replace(floor.context, partners=partner_keys([settings]))
    headers, body = erp.signed(erp.wants(number, state=kept.state), floor.clock() / SECOND_NS)
    path = "/api/v1/partners/erp/events"
    answer, stranger, unsigned = asyncio.run(
        posted(context, (path, path.replace("erp", "crm"), path), headers, body)
    )
    assert (answer.status_code, answer.json()["outcome"]) == (200, "already")
    assert (stranger.status_code, stranger.json()["code"]) == (401, "signature_wrong")
    assert (unsigned.status_code, unsigned.json()["code"]) == (401, "not_signed")
    floor.database.dispose()


async def posted(
    context: Context, paths: Iterable[str], headers: dict[str, str], body: bytes
) -> list[httpx.Response]:
    """What the console answers to the event at each address, the last time without a signature."""
    *signed, last = paths
    async with httpx.AsyncClient(transport=httpx.ASGITransport(console(context)), base_url=BASE) as client:
        answers = [await client.post(path, content=body, headers=headers) for path in signed]
        return [*answers, await client.post(last, content=body)]


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    """The server's address while it serves."""
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
