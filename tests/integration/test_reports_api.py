"""Reports over REST and on their page: one entry, a refusal beside each field, the reporter's words on the ticket."""

import asyncio
import re

import httpx

from tests.shop_floor import OURS, ShopFloor

REPAIR = {"type": "equipment_repair", "asset": "L1-SPN-01", "description": "主轴异响，像金属摩擦"}


async def test_a_report_becomes_a_ticket_and_the_next_one_joins_it(client: httpx.AsyncClient) -> None:
    first = await client.post("/api/v1/reports", json=REPAIR)
    assert (first.status_code, first.headers["location"]) == (201, "/api/v1/tickets/1")
    second = await client.post(
        "/api/v1/reports", json={**REPAIR, "description": "grinding noise", "channel": "phone"}
    )
    assert (second.json()["ticket"], second.json()["rule"]) == (1, "same_event")
    found = (await client.get("/api/v1/reports?ticket=1")).json()
    assert found["counts"] == {"received": 2, "tickets": 2, "refusals": 0, "lost": 0}
    assert [REPAIR["description"] in one["body"] for one in found["items"]] == [False, True]
    assert (await client.get("/api/v1/reports?lost=true")).json()["items"] == []
    one = (await client.get("/api/v1/reports/1")).json()
    assert (one["came_by"], one["lost"]) == ("api", False)
    assert (await client.get("/api/v1/reports/9")).status_code == 404


async def test_a_program_can_ask_what_can_be_reported(client: httpx.AsyncClient) -> None:
    found = (await client.get("/api/v1/reports/types")).json()
    asked = {one["code"]: [field["name"] for field in one["fields"]] for one in found["ticket_types"]}
    assert asked["spare_part_requisition"] == ["part", "quantity"]
    assert {"hydraulic_leak", "line_stop"} <= {one["code"] for one in found["fault_types"]}


async def test_a_refused_report_is_kept_and_each_field_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/api/v1/reports", json={"type": "configuration_enquiry", "fault_type": "gremlins"}
    )
    assert answer.status_code == 422
    said = answer.json()
    assert said["code"] == "event_id_missing"
    assert {one["field"] for one in said["missing"]} == {"event_id", "fault_type", "description"}
    assert said["missing"][0]["why"] == "one_of:serial,order_number,phone"
    assert (await client.get(f"/api/v1/reports/{said['report']}")).json()["refusal"] == "event_id_missing"


async def test_the_same_idempotency_key_at_once_is_one_report(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "form-4711"}
    posts = (client.post("/api/v1/reports", json=REPAIR, headers=headers) for _ in range(6))
    answers = await asyncio.gather(*posts)
    assert {(answer.status_code, answer.json()["id"]) for answer in answers} == {(201, 1)}
    assert (await client.get("/api/v1/tickets/1")).json()["ticket"]["occurrence_count"] == 1


async def test_a_body_without_end_is_cut_off_kept_and_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/reports", content=b"x" * 300_000)
    assert (answer.status_code, answer.json()["code"]) == (422, "report_too_large")


async def test_fields_are_patched_on_the_version_that_was_seen(client: httpx.AsyncClient) -> None:
    await client.post("/api/v1/reports", json=REPAIR)
    wanted = {"version": 1, "fault_type": "seal_failure", "region": "华东"}
    done = await client.patch("/api/v1/tickets/1/fields", json=wanted)
    assert (done.status_code, done.json()["fault_type"]) == (200, "seal_failure")
    assert (await client.patch("/api/v1/tickets/1/fields", json=wanted)).json()["code"] == "stale_version"
    wrong = await client.patch(
        "/api/v1/tickets/1/fields", json={"type": "party"}, headers={"If-Match": done.headers["etag"]}
    )
    assert (wrong.status_code, wrong.json()["code"]) == (422, "fields_refused")
    assert {one["field"] for one in wrong.json()["missing"]} == {"type", "reason"}


async def test_the_page_asks_for_the_type_first_then_for_what_it_needs(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/report?asset=L1-SPN-01")).text
    assert "Spare-part requisition" in page
    assert 'name="description"' not in page
    page = (
        await browser.post(
            "/report/type", data={"type": "spare_part_requisition", "asset": "L1-SPN-01"}, headers=OURS
        )
    ).text
    assert "Part code" in page
    assert 'value="L1-SPN-01"' in page


async def test_what_is_wrong_is_said_beside_its_field_and_what_was_written_stays(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    form = {
        "type": "spare_part_requisition",
        "asset": "L9",
        "description": "<b>we need seals</b>",
        "fields.part": "S-1",
        "fields.quantity": "many",
    }
    answer = await browser.post("/report", data=form, headers=OURS)
    assert answer.status_code == 422
    beside = dict(re.findall(r'id="([\w-]+)-wrong">([^<]+)<', answer.text))
    assert beside == {"asset": "Nothing of this name is known here.", "fields-quantity": "This is no number."}
    assert "&lt;b&gt;we need seals" in answer.text
    form |= {"asset": floor.plant.assets[0].name, "fields.quantity": "3"}
    done = await browser.post("/report", data=form, headers=OURS)
    assert done.headers["location"] == "/tickets/1"
    page = (await browser.get("/tickets/1")).text
    assert "&lt;b&gt;we need seals&lt;/b&gt;" in page
    assert "Quantity" in page
    change = {"version": "1", "type": "spare_part_requisition", "fields.part": "S-1", "fields.quantity": "0"}
    refused = await browser.post("/tickets/1/fields", data=change, headers=OURS)
    assert refused.status_code == 422
    beside = dict(re.findall(r'id="([\w-]+)-wrong">([^<]+)<', refused.text))
    assert beside == {"fields-quantity": "The number is too small."}
    assert 'name="fields.quantity" value="0"' in refused.text
    await browser.post("/tickets/1/fields", data=change | {"fields.quantity": "5"}, headers=OURS)
    assert "A-1: the change is on record." in (await browser.get("/tickets/1")).text


async def test_a_report_without_a_machine_has_a_page_too(browser: httpx.AsyncClient) -> None:
    said = {
        "type": "configuration_enquiry",
        "order_number": "SO-4711",
        "description": "怎么设置上限？",
        "region": "华东",
    }
    answer = await browser.post("/api/v1/reports", json=said, headers=OURS)
    assert answer.status_code == 201, answer.text
    assert "怎么设置上限？" in (await browser.get("/tickets/1")).text
    assert (await browser.get("/")).status_code == 200
    assert "SO-4711" in (await browser.get("/tickets/1")).text
    assert "A-1" in (await browser.get("/tickets?text=so-4711")).text
