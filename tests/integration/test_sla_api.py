"""Limits from outside: clocks on a ticket, the board, the drift list and its page, steps that failed."""

import httpx

from andon.events import SECOND_NS
from tests.shop_floor import NOW_NS, ShopFloor
from ticketing import sla, timers
from ticketing.clockwork import turn
from ticketing.timers import Timer

HOUR_NS = 3600 * SECOND_NS


def turns(floor: ShopFloor, at_ns: int) -> None:
    context = floor.context
    while turn(context.tickets, context.plant(), at_ns, turn_s=60):
        pass


async def test_a_ticket_tells_what_its_clocks_show(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L2-CMP-01", "zone_d", ago_s=60))
    detail = (await client.get("/api/v1/tickets/1")).json()
    by_kind = {clock["kind"]: clock for clock in detail["clocks"]}
    assert sorted(by_kind) == ["dwell", "resolution", "response"]
    response = by_kind["response"]
    assert (response["state"], response["late"], response["calendar"]) == ("run", False, "")
    assert response["left_s"] == response["limit_s"] - response["taken_s"] > 0
    assert (await client.get("/api/v1/tickets/1/clocks")).json()["items"] == detail["clocks"]
    assert (await client.get("/api/v1/tickets/99/clocks")).status_code == 404
    page = (await client.get("/tickets/1")).text
    assert "Time limits" in page
    assert "First response" in page


async def test_what_is_overdue_is_on_the_board_and_red_in_the_list(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L2-CMP-01", "zone_d", ago_s=60))
    turns(floor, NOW_NS)
    assert (await client.get("/api/v1/board")).json() == {"items": [], "next": None, "limit": 100, "total": 0}
    assert "First response" in (await client.get("/tickets?sort=due")).text
    turns(floor, NOW_NS + 30 * HOUR_NS)
    (item,) = (await client.get("/api/v1/board")).json()["items"]
    assert item["ticket"]["number"] == "A-1"
    assert {clock["kind"] for clock in item["clocks"]} >= {"response", "resolution"}
    assert all(clock["late"] for clock in item["clocks"])
    assert (await client.get("/api/v1/board?line=elsewhere")).json()["total"] == 0
    listed = (await client.get("/api/v1/tickets?overdue=true&sort=due")).json()
    assert [ticket["id"] for ticket in listed["items"]] == [1]
    assert "chip critical" in (await client.get("/tickets?overdue=true")).text


async def test_the_drift_list_of_a_day_is_given_and_shown(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    assert (await client.get("/api/v1/drift")).status_code == 404
    assert (await client.get("/drift")).status_code == 200
    floor.hears(floor.finding("L2-CMP-01", "zone_d", ago_s=60))
    turns(floor, NOW_NS)
    floor.context.tickets.comment(1, text="looking", actor="somebody", now_ns=NOW_NS + SECOND_NS)
    for hours in (1, 20, 30):
        turns(floor, NOW_NS + hours * HOUR_NS)
    found = (await client.get("/api/v1/drift")).json()
    assert [(one["number"], one["reasons"]) for one in found["items"]] == [("A-1", ["update"])]
    assert found["days"][0] == {"day": found["day"], "tickets": 1}
    assert (await client.get(f"/api/v1/drift?day={found['day']}")).json() == found
    assert (await client.get("/api/v1/drift?day=2020-01-01")).status_code == 404
    page = (await client.get("/drift")).text
    assert "A-1" in page
    assert "Update overdue" in page
    zh = (await client.get("/drift", headers={"Accept-Language": "zh"})).text
    assert "责任漂移预警清单" in zh


async def test_a_step_that_was_given_up_is_listed_and_tried_again(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    tickets = floor.context.tickets
    with tickets.transaction(NOW_NS) as book:
        timers.set_timer(book, Timer(sla.KIND, "ticket/404", NOW_NS))
    for n in range(timers.ATTEMPTS):
        turns(floor, NOW_NS + n * 2 * HOUR_NS)
    (failed,) = (await client.get("/api/v1/timers/failed")).json()["items"]
    assert (failed["kind"], failed["subject"], failed["attempts"]) == ("sla", "ticket/404", timers.ATTEMPTS)
    assert "there is no ticket 404" in failed["error"]
    which = {"kind": "sla", "subject": "ticket/404"}
    assert (await client.post("/api/v1/timers/failed/again", json=which)).status_code == 202
    assert (await client.get("/api/v1/timers/failed")).json()["items"] == []
    assert (await client.post("/api/v1/timers/failed/again", json=which)).status_code == 404
