"""Alarms over REST, on a real store."""

import httpx
import pytest

from tests.shop_floor import BASE, ShopFloor


async def the_alarm(floor: ShopFloor, client: httpx.AsyncClient) -> str:
    floor.hears(floor.finding("L1-SPN-01", "zone_d", ago_s=60))
    (one,) = (await client.get("/api/v1/alarms")).json()["items"]
    return str(one["id"])


async def test_an_alarm_is_listed_with_its_state(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    name = await the_alarm(floor, client)
    found = (await client.get("/api/v1/alarms?state=unack&state=acked&line=L1")).json()
    assert found["total"] == found["counts"]["unack"] == 1
    one = (await client.get(f"/api/v1/alarms/{name}")).json()
    assert (one["state"], one["asset"], one["condition"]) == ("unack", "L1-SPN-01", "zone_d")
    assert (one["ticket"], one["definition"]["code"]) == ("A-1", "andon")
    assert [each["active"] for each in one["transitions"]] == [True]
    assert (await client.get("/api/v1/alarms?asset=elsewhere")).json()["items"] == []


async def test_it_is_acknowledged_once(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    at = f"/api/v1/alarms/{await the_alarm(floor, client)}"
    answer = await client.post(f"{at}/acknowledge", json={"reason": "on my way"})
    assert (answer.status_code, answer.json()["state"]) == (200, "acked")
    again = await client.post(f"{at}/acknowledge")
    assert (again.status_code, again.json()["code"]) == (409, "no_alarm_step")
    assert "unacknowledge" in again.json()["detail"]
    assert (await client.post(f"{at}/unacknowledge")).json()["state"] == "unack"
    events = (await client.get(at)).json()["events"]
    assert [(one["step"], one["reason"]) for one in events] == [
        ("acknowledge", "on my way"),
        ("unacknowledge", ""),
    ]


async def test_it_is_taken_out_of_service_with_a_reason_and_returned(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    at = f"/api/v1/alarms/{await the_alarm(floor, client)}"
    refused = await client.post(f"{at}/out-of-service", json={"reason": " "})
    assert (refused.status_code, refused.json()["code"]) == (422, "alarm_without_reason")
    out = (await client.post(f"{at}/out-of-service", json={"reason": "sensor away"})).json()
    assert (out["state"], out["out_of_service"]) == ("oosrv", "sensor away")
    assert (await client.post(f"{at}/return-to-service")).json()["state"] == "unack"


async def test_bad_actors_are_counted(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d", ago_s=25 * 3600))
    found = (await client.get("/api/v1/alarms/bad-actors")).json()
    assert found["total"] == {"chattering": 0, "fleeting": 0, "stale": 1}
    assert found["stale"][0]["stale"] is True


@pytest.mark.parametrize(
    ("path", "code"),
    [("/api/v1/alarms/nowhere", "alarm_not_found"), ("/api/v1/alarms?state=loud", "invalid_request")],
)
async def test_what_makes_no_sense_is_refused(client: httpx.AsyncClient, path: str, code: str) -> None:
    assert (await client.get(path)).json()["code"] == code


async def test_the_page_says_what_stands_and_takes_steps(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    name = await the_alarm(floor, client)
    page = {"Accept": "text/html", "Accept-Language": "en"}
    seen = (await client.get("/alarms", headers=page)).text
    assert "Unacknowledged" in seen
    assert f"/alarms/{name}/acknowledge" in seen
    own = {**page, "Origin": BASE}
    assert (await client.post(f"/alarms/{name}/acknowledge", headers=own)).status_code == 303
    assert (await client.get(f"/api/v1/alarms/{name}")).json()["state"] == "acked"
    shelf = {"reason": "new tool", "hours": "2"}
    assert (await client.post(f"/alarms/{name}/shelve", headers=own, data=shelf)).status_code == 303
    (made,) = (await client.get("/api/v1/suppressions")).json()["items"]
    assert (made["kind"], made["matcher"]["asset"], made["reason"]) == ("shelve", "L1-SPN-01", "new tool")
    again = await client.post(f"/alarms/{name}/acknowledge", headers=own, follow_redirects=True)
    assert "was not changed" in again.text
