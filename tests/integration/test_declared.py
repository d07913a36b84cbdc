"""What people declare over REST and on the pages: maintenance that is seen, and proposals that are answered."""

import io
from typing import Any

import httpx
import pytest
from PIL import Image

from andon import declarations
from andon.database import reading, writing
from andon.declarations import Entry
from andon.events import Declaration, Origin, rfc3339
from tests.shop_floor import NOW_NS, OURS, ShopFloor
from ticketing import triage

MACHINE = "L1-SPN-01"
ZH, EN = {"Accept-Language": "zh"}, {"Accept-Language": "en"}


def entries(floor: ShopFloor, asset: str = MACHINE) -> list[Entry]:
    with reading(floor.database) as conn:
        return declarations.recent(conn, 99, asset)


def takes(floor: ShopFloor) -> None:
    """What the engine does with what was asked for."""
    with writing(floor.database) as conn:
        declarations.settle(
            conn,
            [
                Declaration(
                    *(NOW_NS, one.asset, one.component, one.what, one.by, one.note, one.ticket),
                    origin=Origin("engine", 7, NOW_NS),
                    id=one.id,
                )
                for one in declarations.asked(conn, 9)
            ],
        )


async def closes(client: httpx.AsyncClient, **last: Any) -> dict[str, Any]:
    """Bring ticket 1 to its signature, or to the step that `last` names with its body; gives the ticket."""

    async def step(name: str, who: str, **body: Any) -> dict[str, Any]:
        version = (await client.get("/api/v1/tickets/1")).json()["ticket"]["version"]
        answer = await client.post(
            f"/api/v1/tickets/1/{name}", json={"version": version, **body}, headers={"X-Andon-Person": who}
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    for name, body in last.items():
        return await step(name, "wu.gang", reason="looked at it", approver="wu.gang", **body)
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), "orange").save(picture, "JPEG")
    await step("assign", "wu.gang", person="wang.lei", backup="chen.jing", reason="knows it")
    await step("accept", "wang.lei", sub_state="site_survey")
    await client.post(
        "/api/v1/tickets/1/photos", files={"photo": ("a.jpg", picture.getvalue(), "image/jpeg")}
    )
    await step("resolve", "wang.lei", summary="bearing replaced", cause="3.4", same_kind=False)
    return await step("sign", "wu.gang", solved=True, no_derived_risk=True, no_further_support=True)


@pytest.fixture
async def page(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """The same visitor, who reads pages."""
    client.headers["Accept"] = "text/html"
    return client


class TestRest:
    async def test_maintenance_is_asked_for_stands_and_ends(
        self, floor: ShopFloor, client: httpx.AsyncClient
    ) -> None:
        place = f"/api/v1/assets/{MACHINE}/declarations"
        body = {"what": "maintenance_begins", "note": "belt"}
        answer = await client.post(place, json=body, headers={"X-Andon-Person": "wu.gang"})
        assert answer.status_code == 202
        assert (
            answer.json().items() >= {"by": "wu.gang", "note": "belt", "at": None, "position": None}.items()
        )
        takes(floor)
        standing = (await client.get(f"/api/v1/assets/{MACHINE}")).json()["maintenance"]
        assert (standing["by"], standing["at"]) == ("wu.gang", rfc3339(NOW_NS))
        again = await client.post(place, json=body)
        assert (again.status_code, again.json()["code"]) == (409, "maintenance_begun")
        assert (await client.post(place, json={"what": "maintenance_ends"})).status_code == 202
        assert (await client.get(f"/api/v1/assets/{MACHINE}")).json()["maintenance"] is None
        items = (await client.get(place)).json()["items"]
        assert [(one["what"], one["position"]) for one in items] == [
            ("maintenance_ends", None),
            ("maintenance_begins", 7),
        ]

    async def test_what_cannot_be_declared_has_its_code(
        self, floor: ShopFloor, client: httpx.AsyncClient
    ) -> None:
        for asset, body, status, code in (
            ("L1-SPN-1", {"what": "repair"}, 404, "unknown_asset"),
            (MACHINE, {"what": "repair", "component": "DE-bering"}, 422, "unknown_component"),
            (MACHINE, {"what": "maintenance_ends"}, 409, "maintenance_not_begun"),
            (MACHINE, {"what": "magic"}, 422, "invalid_request"),
            (MACHINE, {"what": "repair", "note": "x" * 4001}, 422, "invalid_request"),
            (MACHINE, {"what": "repair", "note": "a\0"}, 422, "declaration_unusable"),
        ):
            answer = await client.post(f"/api/v1/assets/{asset}/declarations", json=body)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert entries(floor, "") == []

    async def test_a_signed_repair_proposes_and_accepting_it_declares_it(
        self, floor: ShopFloor, client: httpx.AsyncClient
    ) -> None:
        floor.hears(floor.finding(MACHINE, "bearing_outer_race"))
        closed = await closes(client)
        assert (closed["outcome"], closed["relearn"]) == ("fixed", None)
        detail = (await client.get("/api/v1/tickets/1")).json()
        assert detail["proposal"] == "repair"
        assert {"relearn", "keep_baseline"} <= set(detail["next_steps"])
        answer = await client.post("/api/v1/tickets/1/relearn", json={"version": closed["version"]})
        assert answer.json()["relearn"] is True
        (entry,) = entries(floor)
        component = closed["headline"]["component"]
        assert (entry.what, entry.component, entry.ticket) == ("repair", component, closed["number"])
        after = (await client.get("/api/v1/tickets/1")).json()
        assert after["proposal"] is None
        assert "relearn" not in after["next_steps"]

    async def test_a_ticket_can_be_labelled_planned_or_an_operating_change(
        self, floor: ShopFloor, client: httpx.AsyncClient
    ) -> None:
        floor.hears(floor.finding(MACHINE, "zone_d"))
        closed = await closes(client, cancel={"outcome": "operating_change"})
        assert (closed["closure"], closed["outcome"]) == ("cancelled", "operating_change")
        assert (await client.get("/api/v1/tickets/1")).json()["proposal"] == "operating_change"

    async def test_what_a_step_cannot_say_is_refused_and_nothing_said_is_no_label(
        self, floor: ShopFloor, client: httpx.AsyncClient
    ) -> None:
        floor.hears(floor.finding(MACHINE, "zone_d"))
        body = {"version": 1, "reason": "r", "approver": "wu.gang", "outcome": "fixed"}
        assert (await client.post("/api/v1/tickets/1/cancel", json=body)).status_code == 422
        closed = await closes(client, cancel={})
        assert (closed["outcome"], closed["closure"]) == (None, "cancelled")


class TestPages:
    async def test_a_maintained_machine_is_marked_on_every_page_that_shows_it(
        self, floor: ShopFloor, page: httpx.AsyncClient
    ) -> None:
        floor.hears(floor.finding(MACHINE, "zone_d"))
        pages = ("/assets", f"/assets/{MACHINE}", "/tickets/1")
        for path in pages:
            assert "Maintenance since" not in (await page.get(path, headers=EN)).text
        form = {"what": "maintenance_begins", "note": "new belt"}
        answer = await page.post(f"/assets/{MACHINE}/declarations", data=form, headers=OURS)
        assert answer.headers["location"] == f"/assets/{MACHINE}"
        assert "not taken into the stream yet" in (await page.get(answer.headers["location"])).text.lower()
        takes(floor)
        for path in pages:
            assert "Maintenance since 15:20" in (await page.get(path, headers=EN)).text, path
            assert "维护中，自 15:20" in (await page.get(path, headers=ZH)).text, path
        text = (await page.get(f"/assets/{MACHINE}", headers=ZH)).text
        assert "new belt" in text
        assert "结束维护" in text
        await page.post(f"/assets/{MACHINE}/declarations", data={"what": "maintenance_ends"}, headers=OURS)
        assert "Begin maintenance" in (await page.get(f"/assets/{MACHINE}", headers=EN)).text

    async def test_what_cannot_be_declared_is_said_in_words(
        self, floor: ShopFloor, page: httpx.AsyncClient
    ) -> None:
        await page.post(f"/assets/{MACHINE}/declarations", data={"what": "maintenance_ends"}, headers=OURS)
        assert "its maintenance has not begun" in (await page.get(f"/assets/{MACHINE}", headers=EN)).text
        assert entries(floor) == []
        form = {"what": "repair", "component": "", "note": "all bearings"}
        await page.post(f"/assets/{MACHINE}/declarations", data=form, headers=OURS)
        assert [(one.what, one.component) for one in entries(floor)] == [("repair", None)]

    async def test_a_closed_ticket_asks_in_both_languages_and_takes_either_answer(
        self, floor: ShopFloor, page: httpx.AsyncClient
    ) -> None:
        floor.hears(floor.finding(MACHINE, "bearing_outer_race"))
        version = (await closes(page))["version"]
        for headers, title, why in (
            (EN, "Learn the baseline anew?", "closed as fixed"),
            (ZH, "重新学习基线？", "按修复关闭"),
        ):
            text = (await page.get("/tickets/1", headers=headers)).text
            assert title in text
            assert why in text
        form = {"version": str(version), "reason": ""}
        refused = await page.post("/tickets/1/keep_baseline", data=form, headers={**OURS, **EN})
        assert '<p class="wrong" id="keep_baseline-reason-wrong">A reason</p>' in refused.text
        await page.post("/tickets/1/keep_baseline", data={**form, "reason": "only cleaned"}, headers=OURS)
        text = (await page.get("/tickets/1", headers=EN)).text
        assert "only cleaned" in text
        assert "Learn the baseline anew?" not in text
        assert entries(floor) == []

    async def test_what_is_no_fault_says_from_the_inbox_what_it_was(
        self, floor: ShopFloor, page: httpx.AsyncClient
    ) -> None:
        floor.hears(floor.finding(MACHINE, "zone_d"))
        assert 'name="outcome"' in (await page.get("/")).text
        form = {"version": "1", "reason": "faster since Monday", "outcome": "operating_change"}
        await page.post("/inbox/1/false_alarm", data=form, headers=OURS)
        floor.turns(triage.UNDO_NS)
        text = (await page.get("/tickets/1", headers=EN)).text
        assert "This was an operating change" in text
        await page.post("/tickets/1/relearn", data={"version": "2"}, headers=OURS)
        assert [(one.what, one.note) for one in entries(floor)] == [
            ("operating_change", "faster since Monday")
        ]
