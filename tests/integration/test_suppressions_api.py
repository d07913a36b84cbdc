"""Shelves and windows from outside: begun, listed with what they hold, ended; each refusal with its code."""

from dataclasses import replace

import httpx
import pytest

from andon.database import writing
from andon.events import HOUR_NS, MINUTE_NS, rfc3339
from tests.scenario.story import stop
from tests.shop_floor import NOW_NS, OURS, ShopFloor
from ticketing.clockwork import turn

SHELF = {"matcher": {"asset": "L1-SPN-01"}, "reason": "part on order"}


def hears(floor: ShopFloor, asset: str, at_ns: int) -> int:
    said = stop(asset, "E1", at_ns)
    said = replace(said, origin=replace(said.origin, received_ns=at_ns))
    with writing(floor.database) as conn:
        return floor.tickets.apply(conn, [said], floor.plant, at_ns).get("opened", 0)


async def test_an_alarm_is_shelved_and_taken_off_again(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    asset = floor.plant.assets[0].id
    made = (await client.post("/api/v1/suppressions", json=SHELF | {"matcher": {"asset": asset}})).json()
    assert (made["kind"], made["ends_at"]) == ("shelve", rfc3339(NOW_NS + 8 * HOUR_NS))
    assert hears(floor, asset, NOW_NS + MINUTE_NS) == 0
    (one,) = (await client.get("/api/v1/suppressions")).json()["items"]
    assert (one["id"], one["held"], one["matcher"]) == (made["id"], 1, {"asset": asset})
    refused = await client.delete(f"/api/v1/suppressions/{made['id']}")
    assert (refused.status_code, refused.json()["code"]) == (422, "suppression_without_reason")
    ended = await client.delete(f"/api/v1/suppressions/{made['id']}?reason=came+early")
    assert ended.status_code == 200
    turn(floor.tickets, floor.plant, NOW_NS + MINUTE_NS, turn_s=60)
    (one,) = (await client.get("/api/v1/suppressions?state=ended")).json()["items"]
    assert (one["held"], one["folded"]) == (0, 1)
    assert [event["action"] for event in one["events"]] == ["begun", "ended"]
    assert one == (await client.get(f"/api/v1/suppressions/{made['id']}")).json()
    assert (await client.get("/api/v1/suppressions")).json()["items"] == []
    again = await client.delete(f"/api/v1/suppressions/{made['id']}?reason=again")
    assert (again.status_code, again.json()["code"]) == (409, "suppression_ended")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"reason": " "}, 422, "suppression_without_reason"),
        ({"matcher": {}}, 422, "suppression_of_everything"),
        ({"matcher": {"asset": "nowhere"}}, 404, "unknown_asset"),
        ({"matcher": {"under": "lakeside/wuxi/machinning"}}, 404, "unknown_asset"),
        ({"matcher": {"asset": "L1-SPN-01", "asset_class": "press"}}, 404, "unknown_asset"),
        ({"for_s": 9 * 3600}, 422, "suppression_too_long"),
        ({"starts_at": "2020-01-01T00:00:00Z", "for_s": 60}, 422, "suppression_times"),
        ({"kind": "maintenance_window"}, 422, "suppression_without_end"),
        ({"kind": "inhibit"}, 422, "invalid_request"),
        ({"matcher": {"famlies": ["stop"]}}, 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_is_refused(
    floor: ShopFloor, client: httpx.AsyncClient, body: dict[str, object], status: int, code: str
) -> None:
    asset = floor.plant.assets[0].id
    answer = await client.post("/api/v1/suppressions", json=SHELF | {"matcher": {"asset": asset}} | body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await client.get("/api/v1/suppressions")).json()["items"] == []


async def test_one_that_there_is_not(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.get("/api/v1/suppressions/7"),
        await client.delete("/api/v1/suppressions/7?reason=x"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "suppression_not_found")


async def test_the_pages_of_a_machine_and_its_ticket_say_that_its_alarms_are_held_back(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    asset = floor.plant.assets[0].id
    assert hears(floor, asset, NOW_NS - MINUTE_NS) == 1
    pages = (f"/assets/{asset}", "/tickets/1")
    headers = {"Accept-Language": "en"}
    for page in pages:
        assert "Alarms shelved" not in (await browser.get(page, headers=headers)).text
    made = await browser.post(
        "/api/v1/suppressions", json=SHELF | {"matcher": {"asset": asset}}, headers=OURS
    )
    assert made.status_code == 201
    for page in pages:
        assert "Alarms shelved until" in (await browser.get(page, headers=headers)).text
