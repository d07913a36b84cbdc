"""Who does it, over REST: presence, offers, claims, collaborators, and routing that can be tried out."""

import html
import re
from typing import Any

import httpx
import pytest

from andon.plant import Plant
from tests.shop_floor import OURS, ShopFloor
from ticketing import offers

LINE_STOP = {"rules": [{"name": "stops", "when": {"fault_types": ["line_stop"]}, "offer_to": 3}]}


@pytest.fixture
def floor(floor: ShopFloor) -> ShopFloor:
    """A plant whose line stops are offered to three at once."""
    document = {**floor.plant.model_dump(mode="json"), "routing": LINE_STOP}
    floor.plant = Plant.model_validate(document)
    return floor


async def did(client: httpx.AsyncClient, who: str, path: str, **body: Any) -> httpx.Response:
    return await client.post(f"/api/v1{path}", json=body, headers={"X-Andon-Person": who})


async def routing_of(client: httpx.AsyncClient) -> Any:
    return (await client.get("/api/v1/tickets/1/routing")).json()


async def test_the_first_to_accept_an_offer_has_it(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L2-DCM-01", "stop"))
    why = await routing_of(client)
    assert why["decisions"][0]["routing"] == "stops"
    asked = [one["person"] for one in why["offers"]]
    assert sorted(asked) == sorted(why["decisions"][0]["offer_to"])
    assert len(asked) >= 2
    mine = (await client.get(f"/api/v1/people/{asked[1]}/offers")).json()["items"]
    assert [one["ticket"] for one in mine] == [1]
    taken = await did(client, asked[1], "/tickets/1/offers/accept")
    assert (taken.json()["assignee"], taken.json()["state"]) == (asked[1], "in_progress")
    late = await did(client, asked[0], "/tickets/1/offers/accept")
    assert (late.status_code, late.json()["code"]) == (409, "offer_gone")
    other = await did(client, "wu.gang", "/tickets/1/offers/accept")
    assert (other.status_code, other.json()["code"]) == (403, "not_offered")


async def test_an_offer_is_declined_with_a_reason(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L2-DCM-01", "stop"))
    who = (await routing_of(client))["offers"][0]["person"]
    refused = await did(client, who, "/tickets/1/offers/decline", reason=" ")
    assert refused.json()["missing"] == [{"demand": "reason", "why": "absent"}]
    assert (await did(client, who, "/tickets/1/offers/decline", reason="on a ladder")).status_code == 200
    states = {one["person"]: one["state"] for one in (await routing_of(client))["offers"]}
    assert states.pop(who) == "declined"
    assert set(states.values()) == {"open"}


async def test_who_lacks_the_skill_cannot_claim(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L2-CMP-01", "bearing_outer_race"))
    refused = await did(client, "li.na", "/tickets/1/claim")
    assert refused.json()["missing"] == [{"demand": "skill", "why": "bearing"}]
    assert (await did(client, "wang.lei", "/tickets/1/claim")).json()["assignee"] == "wang.lei"


async def test_who_goes_on_leave_is_stood_in_for(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L2-CMP-01", "bearing_outer_race"))
    backup = (await did(client, "wang.lei", "/tickets/1/claim")).json()["backup"]
    path = "/api/v1/people/wang.lei/presence"
    answer = await client.put(path, json={"leave_until": "2026-03-20T00:00:00Z"})
    assert answer.json()["on_leave"] is True
    assert [(one["number"], one["assignee"]) for one in answer.json()["moved"]] == [("A-1", backup)]
    people = (await client.get("/api/v1/people")).json()["items"]
    assert {one["id"]: one["open_tickets"] for one in people}[backup] == 1
    away = next(one for one in people if one["id"] == "wang.lei")
    assert (away["on_leave"], away["known"], away["age_s"]) == (True, True, 0.0)
    unknown = await client.put("/api/v1/people/nobody/presence", json={"online": True})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_person")
    half = await client.put(path, json={"position": {"x_m": 3}})
    assert half.status_code == 422


async def test_a_ticket_is_handed_to_its_backup_and_all_of_a_person_to_others(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L2-CMP-01", "bearing_outer_race"))
    first = (await did(client, "wang.lei", "/tickets/1/claim")).json()
    moved = (await did(client, "wu.gang", "/tickets/1/to_backup", reason="at another site")).json()
    assert (moved["assignee"], moved["state"]) == (first["backup"], "assigned")
    rest = await did(client, "wu.gang", f"/people/{moved['assignee']}/reassign", reason="has left the firm")
    assert [one["number"] for one in rest.json()["moved"]] == ["A-1"]
    assert rest.json()["moved"][0]["assignee"] != moved["assignee"]
    empty = await did(client, "wu.gang", f"/people/{moved['assignee']}/reassign", reason="")
    assert empty.status_code == 422


async def test_collaborators_join_and_leave_with_a_reason(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L2-CMP-01", "bearing_outer_race"))
    path = "/tickets/1/collaborators"
    joined = await did(client, "wu.gang", path, person="li.na", role="accountable", reason="two trades")
    assert joined.json()["collaborators"] == {"li.na": "accountable"}
    vague = await did(client, "wu.gang", path, person="li.na", role="helper", reason="x")
    assert vague.status_code == 422
    gone = await client.delete(f"/api/v1{path}/li.na?reason=done")
    assert gone.json()["collaborators"] == {}
    again = await client.delete(f"/api/v1{path}/li.na?reason=done")
    assert (again.status_code, again.json()["code"]) == (404, "not_collaborator")


async def test_routing_is_tried_out_as_it_will_be(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    wanted = {
        "asset": "L2-DCM-01",
        "fault_type": "line_stop",
        "kinds": ["hydraulics", "stop"],
        "priority": "high",
    }
    tried = (await client.post("/api/v1/routing/test", json=wanted)).json()
    floor.hears(floor.finding("L2-DCM-01", "stop"))
    made = (await routing_of(client))["decisions"][0]
    for name in ("routing", "person", "backup", "offer_to", "candidates", "at"):
        assert tried[name] == made[name], name
    assert (tried["why"], made["why"]) == ("test", "opened")
    assert (await client.get("/api/v1/tickets")).json()["total"] == 1
    unknown = await client.post("/api/v1/routing/test", json={"asset": "X9"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_asset")


async def test_routing_is_tried_out_at_another_time(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    document = floor.plant.model_dump(mode="json")
    document["calendars"]["day"] = {"time_zone": "Asia/Shanghai", "week": {"thu": ["08:00-17:00"]}}
    for person in document["people"]:
        person["calendar"] = "day"
    floor.plant = Plant.model_validate(document)
    wanted = {"asset": "L2-CMP-01", "kinds": ["machine_condition"]}
    by_day = (await client.post("/api/v1/routing/test", json=wanted)).json()
    assert by_day["rule"] == "best"
    at_night = {**wanted, "at": "2026-03-12T23:00:00+08:00"}
    by_night = (await client.post("/api/v1/routing/test", json=at_night)).json()
    assert all("off_shift" in one["misses"] for one in by_night["candidates"])
    assert by_night["rule"] == "owner"


async def test_the_page_of_a_ticket_says_why_this_person_and_leads_to_a_trial(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L2-DCM-01", "stop"))
    why = await routing_of(client)
    page = (await client.get("/tickets/1", headers={"Accept": "text/html"})).text
    assert "Why this person" in page
    assert page.count("has been asked") == len(why["offers"])
    for one in why["decisions"][0]["candidates"]:
        assert one["name"] in page
    link = html.unescape(re.findall(r'href="(/routing[^"]*)"', page)[0])
    tried = (await client.get(link, headers={"Accept": "text/html", "Accept-Language": "zh"})).text
    assert "派单试算" in tried
    assert tried.count("<tr") == len(floor.plant.people) + 1
    assert 'value="L2-DCM-01" selected' in tried


async def test_the_trial_page_says_what_speaks_against_each(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    page = await client.get("/routing?asset=L1-SPN-01&kind=machine_condition&at=2026-03-12T10:00")
    assert page.status_code == 200
    assert "lacks the skill" in page.text
    assert "works on another line" in page.text
    assert (await client.get("/api/v1/tickets")).json()["total"] == 0
    assert (await client.get("/routing?at=tomorrow")).status_code == 422


async def test_an_offer_is_accepted_on_the_tickets_page(floor: ShopFloor, browser: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L2-DCM-01", "stop"))
    with floor.tickets.looking() as conn:
        first, second = [one.person for one in offers.of(conn, 1)][:2]
    browser.cookies.set("andon_person", first)
    assert "Accept what is offered to me" in (await browser.get("/tickets/1")).text
    answer = await browser.post("/tickets/1/taken/offer", headers=OURS)
    assert answer.status_code == 303
    page = (await browser.get("/tickets/1")).text
    assert "is assigned to" in page
    assert "is not asked any more" in page
    browser.cookies.set("andon_person", second)
    await browser.post("/tickets/1/taken/offer", headers=OURS)
    assert "somebody else has taken it" in (await browser.get("/tickets/1")).text
