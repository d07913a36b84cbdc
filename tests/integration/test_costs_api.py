"""Costs, approvals, safety sign-offs and the assembly of ticket types over REST and on their pages."""

from collections.abc import Mapping

import httpx
import pytest

from andon import plants
from andon.database import reading, writing
from andon.events import ConfigChanged, Json, Origin
from tests.shop_floor import ShopFloor

LEVEL = "team_leader"


@pytest.fixture
def stopped(floor: ShopFloor) -> ShopFloor:
    floor.hears(floor.finding("L2-CMP-01", "bearing_outer_race"))
    return floor


async def post(client: httpx.AsyncClient, path: str, who: str, **body: Json) -> httpx.Response:
    return await client.post(f"/api/v1/{path}", json=body, headers={"X-Andon-Person": who})


async def test_an_estimate_asks_its_levels_who_decide_over_rest_and_see_it_on_their_page(
    stopped: ShopFloor, client: httpx.AsyncClient
) -> None:
    thought = (await post(client, "tickets/1/estimate", "li.na", cents=480_000, reason="seal kit")).json()
    assert (thought["amount_cents"], thought["lacking"]) == (480_000, [LEVEL])
    number, page = thought["request"]["id"], {"Accept": "text/html"}
    (asked,) = (await client.get("/api/v1/cost-requests")).json()["items"]
    leader = asked["deciders"][0]
    as_leader = {"X-Andon-Person": leader}
    assert (await client.get("/api/v1/cost-requests/mine")).json()["items"] == []
    assert len((await client.get("/api/v1/cost-requests/mine", headers=as_leader)).json()["items"]) == 1
    assert (
        f"/cost-requests/{number}/decide" in (await client.get("/approvals", headers=as_leader | page)).text
    )
    decide = f"cost-requests/{number}/grant"
    own = await post(client, decide, "li.na", level=LEVEL)
    assert (own.status_code, own.json()["code"]) == (403, "own_approval")
    late = await post(client, decide, leader, level="equipment_director")
    assert (late.status_code, late.json()["code"]) == (409, "level_decided")
    assert (await post(client, decide, leader, level=LEVEL)).json()["state"] == "granted"
    assert (await post(client, decide, leader, level=LEVEL)).json()["code"] == "cost_request_settled"
    line = (await post(client, "tickets/1/labour", "li.na", minutes=90, note="dismantled")).json()
    back = await post(client, f"tickets/1/costs/{line['id']}/take-back", "li.na", reason="wrong ticket")
    assert (line["minutes"], back.json()["minutes"]) == (90, -90)
    shown = (await client.get("/tickets/1", headers=page)).text
    assert "¥4,800.00" in shown
    assert (await client.get("/api/v1/assets/L2-CMP-01/costs")).json()["labour_minutes"] == 0


async def test_a_planner_puts_a_type_together_dry_first(
    stopped: ShopFloor, client: httpx.AsyncClient
) -> None:
    document: Mapping[str, Json] = stopped.plant.model_dump(mode="json")
    with writing(stopped.database) as conn:
        plants.save(conn, ConfigChanged(1, stopped.plant.version, document, Origin("engine", 1, 1)))
    where = "ticket-types/equipment_repair/modules"
    wanted = {"modules": {"safety": ["lock_out_tag_out"], "approval": [LEVEL]}, "limits": {LEVEL: 500}}
    dry = (await post(client, where, "wu.gang", **wanted, dry_run=True)).json()
    assert [one["what"] for one in dry["changes"]] == ["with_safety", "without_approval", "limit"]
    assert (dry["version"], dry["open_tickets"], dry["unsound"]) == (None, 1, ["equipment_director"])
    with reading(stopped.database) as conn:
        assert plants.asked(conn, 1) == []
    unknown = await post(client, where, "wu.gang", modules={"safety": ["hot_work"]})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_module")
    ticked = {"safety": "lock_out_tag_out", "approval": LEVEL, f"limit-{LEVEL}": "500", "do": "put"}
    put = await client.post("/ticket-types/equipment_repair", data=ticked, headers={"Accept": "text/html"})
    assert put.status_code == 200
    again = await post(client, where, "wu.gang", **wanted)
    assert (again.status_code, again.json()["code"]) == (409, "under_way")
    with reading(stopped.database) as conn:
        (record,) = plants.asked(conn, 1)
    assert b'"lock_out_tag_out"' in record.body
