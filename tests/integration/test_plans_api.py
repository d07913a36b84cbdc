"""Plans, meters and operations over REST and on the pages: put in, brought into force, done, looked at."""

from collections.abc import Mapping
from typing import Any

import httpx
from sqlalchemy import select

from andon import plants
from andon.database import writing
from andon.events import HOUR_NS, ConfigChanged, Origin
from tests.shop_floor import OURS, ShopFloor

ASSET = "L1-SPN-01"
OVERHAUL: Mapping[str, Any] = {
    "code": "overhaul",
    "zh": "大修",
    "en": "Overhaul",
    "operations": [
        {"code": "dismantle", "zh": "拆解", "en": "Dismantle", "minutes": 40},
        {
            "code": "calibrate",
            "zh": "校准",
            "en": "Calibrate",
            "measurements": [{"name": "bore", "zh": "孔径", "en": "Bore", "unit": "mm", "high": 80.03}],
        },
    ],
}
HOURS = {"code": "hours", "zh": "运行小时", "en": "Operating hours", "machines": {"assets": [ASSET]}}
GREASE = {
    "code": "grease",
    "zh": "润滑",
    "en": "Grease",
    "machines": {"assets": [ASSET]},
    "rhythm": {"unit": "day", "starts": "2026-03-01", "at": "08:00"},
    "operations": "overhaul",
}
FORM = {
    "zh": "主轴润滑",
    "en": "Grease the spindle",
    "assets": ASSET,
    "every": "1",
    "unit": "day",
    "starts": "2026-03-01",
    "at": "08:00",
    "operations": "overhaul",
}


def in_force(floor: ShopFloor, document: Mapping[str, Any] | None = None) -> None:
    """What was asked for comes into force, as the engine does it, and is looked at."""
    with writing(floor.database) as conn:
        if document is None:
            document = conn.execute(select(plants.asked_for.c.document)).scalar_one()
        changed = ConfigChanged(floor.clock(), document["version"], document, Origin("own", 1, floor.clock()))
        plants.save(conn, changed)
        found = plants.latest(conn)
    assert found is not None
    floor.plant = found
    floor.turns()


async def put(client: httpx.AsyncClient, floor: ShopFloor, path: str, body: Mapping[str, Any]) -> Any:
    answer = await client.put(f"/api/v1/{path}", json=body)
    assert answer.status_code == 200, answer.text
    in_force(floor)
    return answer.json()


async def planned(client: httpx.AsyncClient, floor: ShopFloor) -> None:
    in_force(floor, floor.plant.model_dump(mode="json"))
    await put(client, floor, "operation-templates/overhaul", OVERHAUL)
    await put(client, floor, "meters/hours", HOURS)
    said = await put(client, floor, "plans/grease", GREASE)
    assert said["machines"] == [ASSET]
    assert said["dates"][:2] == ["2026-03-13T00:00:00.000Z", "2026-03-14T00:00:00.000Z"]


async def test_a_plan_is_put_in_over_rest_opens_its_ticket_and_its_operations_are_done(
    client: httpx.AsyncClient, floor: ShopFloor
) -> None:
    await planned(client, floor)
    dry = await client.put("/api/v1/plans/grease?dry_run=true", json={**GREASE, "calendar": "no_such"})
    assert (dry.status_code, dry.json()["code"]) == (422, "change_refused")
    assert (await client.put("/api/v1/plans/other", json=GREASE)).status_code == 422
    floor.turns(24 * HOUR_NS)
    (watched,) = (await client.get("/api/v1/plans")).json()["items"]
    assert (watched["state"], watched["asset"]) == ("open", ASSET)
    number = watched["ticket"]
    steps = (await client.get(f"/api/v1/tickets/{number}/operations")).json()["items"]
    assert [step["code"] for step in steps] == ["dismantle", "calibrate"]
    done = f"/api/v1/tickets/{number}/operations/1/done"
    assert (await client.post(done, json={"minutes": 30})).status_code == 409, "nobody works on it"
    by = {"version": 1, "person": "wang.lei", "backup": "li.na", "reason": "greases"}
    assert (await client.post(f"/api/v1/tickets/{number}/assign", json=by)).status_code == 200
    version = (await client.get(f"/api/v1/tickets/{number}")).json()["ticket"]["version"]
    took = {"version": version, "sub_state": "site_survey"}
    wang = {"X-Andon-Person": "wang.lei"}
    accepted = await client.post(f"/api/v1/tickets/{number}/accept", json=took, headers=wang)
    assert accepted.status_code == 200, accepted.text
    assert (await client.post(done, json={"minutes": 30}, headers=wang)).json()["done_by"] == "wang.lei"
    bore = {"minutes": 20, "values": [{"name": "bore", "value": 80.04, "instrument": "BG-7"}]}
    measured = await client.post(f"/api/v1/tickets/{number}/operations/2/done", json=bore, headers=wang)
    assert [one["out"] for one in measured.json()["values"]] == [True]
    links = (await client.get(f"/api/v1/tickets/{number}/links")).json()["items"]
    assert [one["kind"] for one in links] == ["split_into"]
    page = (await client.get(f"/tickets/{number}", headers={"Accept": "text/html"})).text
    assert "80.04" in page
    assert "/plans/grease" in page


async def test_a_planner_puts_a_plan_in_and_a_meter_is_read_on_the_pages(
    browser: httpx.AsyncClient, floor: ShopFloor
) -> None:
    in_force(floor, floor.plant.model_dump(mode="json") | {"operations": [OVERHAUL], "meters": [HOURS]})
    wrong = await browser.post("/plans/new/edit", data=FORM | {"code": "New!"}, headers=OURS)
    assert wrong.status_code == 422
    assert "Grease the spindle" in wrong.text, "what was written stands in the form again"
    saved = await browser.post("/plans/new/edit", data=FORM | {"code": "grease"}, headers=OURS)
    assert (saved.status_code, saved.headers["location"]) == (303, "/plans"), saved.text[:2000]
    in_force(floor)
    assert floor.plant.plans[0].machines.assets == (ASSET,)
    again = await browser.post(
        "/plans/grease/edit", data=FORM | {"late_days": "2", "meter": ""}, headers=OURS
    )
    assert again.status_code == 303
    in_force(floor)
    assert floor.plant.plans[0].late_days == 2
    for value, status in (("100", 303), ("90", 422), ("110", 303)):
        floor.clock.now_ns += HOUR_NS
        read = {"of": f"{ASSET}/hours", "value": value}
        assert (await browser.post("/plans/meters", data=read, headers=OURS)).status_code == status
    for path, shown in (
        ("/plans", "Grease the spindle"),
        ("/plans/grease", "every day, 08:00"),
        ("/plans/calendar?month=2026-03", "/plans/grease"),
        ("/plans/meters", "110"),
        ("/plans/grease/edit", "Grease the spindle"),
    ):
        answer = await browser.get(path)
        assert answer.status_code == 200
        assert shown in answer.text
