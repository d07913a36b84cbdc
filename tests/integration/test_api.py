"""The console's REST interface on real stores: what is answered, and what a step needs."""

import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from andon.database import writing
from andon.events import rfc3339
from ingest import freshness
from tests.shop_floor import BASE, NOW_NS, SOURCE, TOKEN, ShopFloor, a_busy_day, console


def a_photo(colour: str = "orange") -> bytes:
    body = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(body, "JPEG")
    return body.getvalue()


async def the_ticket(client: httpx.AsyncClient, ticket_id: int = 1) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/tickets/{ticket_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["ticket"]
    return found


async def test_a_finding_is_a_ticket_with_its_numbers_and_times(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d", ago_s=60))
    ticket = await the_ticket(client)
    assert ticket["state"] == "pending_dispatch"
    assert ticket["headline"]["condition"] == "zone_d"
    assert ticket["headline"]["numbers"][0]["limit"] == 4.5
    assert ticket["first_event_at"] == rfc3339(NOW_NS - 60 * 10**9)
    assert "first_event_ns" not in ticket


async def test_lists_are_filtered_and_paged_like_the_pages(tmp_path: Path) -> None:
    floor = a_busy_day(tmp_path)
    transport = httpx.ASGITransport(console(floor.context))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        everything = (await client.get("/api/v1/tickets")).json()
        assert everything["total"] == 6
        on_line = (await client.get("/api/v1/tickets?line=L2&state=open")).json()
        assert {ticket["line"] for ticket in on_line["items"]} == {"L2"}
        second = (await client.get("/api/v1/tickets?limit=1&offset=1&sort=oldest")).json()
        assert [ticket["id"] for ticket in second["items"]] == [2]
        assert second["total"] == 6
        found = (await client.get("/api/v1/tickets?text=hydraulic")).json()
        assert found["total"] >= 1
        page = (await client.get("/tickets?line=L2&state=open")).text
        assert all(ticket["number"] in page for ticket in on_line["items"])


@pytest.mark.parametrize("query", ["state=vague", "limit=0", "limit=501", "offset=-1", "sort=colour"])
async def test_a_senseless_filter_is_refused_with_its_place(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/api/v1/tickets?{query}")
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"
    assert query.partition("=")[0] in answer.json()["errors"][0]["at"]


async def test_evidence_of_a_finding_is_given_as_the_detector_made_it(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    finding = floor.finding("L2-CMP-01", "bearing_outer_race")
    floor.hears(finding)
    answer = await client.get(f"/api/v1/findings/{finding.id}/evidence")
    assert answer.json()["envelope"]["markers"] == finding.evidence["envelope"]["markers"]
    assert (await client.get("/api/v1/findings/none/evidence")).status_code == 404


async def test_the_whole_way_from_finding_to_signature(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L2-CMP-01", "bearing_outer_race"))
    ticket = await the_ticket(client)
    person, backup = ticket["suggestion"]["person"], ticket["suggestion"]["backup"]

    async def step(name: str, who: str, **body: Any) -> httpx.Response:
        now = await the_ticket(client)
        return await client.post(
            f"/api/v1/tickets/1/{name}",
            json=body,
            headers={"X-Andon-Person": who, "If-Match": f'"{now["version"]}"'},
        )

    assert (await step("assign", "wu.gang", person=person, backup=backup)).json()["state"] == "assigned"
    refused = await step("accept", backup, sub_state="site_survey")
    assert refused.status_code == 422
    assert refused.json()["missing"] == [{"demand": "assignee_accepts", "why": "not_the_assignee"}]
    assert (await step("accept", person, sub_state="site_survey")).json()["state"] == "in_progress"
    early = await step("resolve", person, summary=" ", cause="9.9")
    missing = {one["demand"]: one["why"] for one in early.json()["missing"]}
    assert missing == {"photo": "absent", "summary": "absent", "cause": "unknown", "same_kind": "absent"}
    photo = await client.post("/api/v1/tickets/1/photos", files={"photo": ("x.jpg", a_photo(), "image/jpeg")})
    assert photo.status_code == 201
    done = await step("resolve", person, summary="Bearing changed", cause="3.4", same_kind=False)
    assert done.json()["state"] == "resolved"
    own = await step("sign", person, solved=True, no_derived_risk=True, no_further_support=True)
    assert own.json()["missing"][0]["why"] == "is_handler"
    two = await step("sign", backup, solved=True, no_derived_risk=True)
    assert two.json()["missing"][0]["demand"] == "three_ticks"
    signed = await step("sign", backup, solved=True, no_derived_risk=True, no_further_support=True)
    assert signed.json()["closure"] == "signed"
    page = (await client.get("/tickets/1", headers={"Accept": "text/html"})).text
    assert "Bearing changed" in page
    assert "Expected wear and tear" in page


async def test_a_step_on_an_old_version_is_refused(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L2-DCM-01", "stop"))
    ticket = await the_ticket(client)
    body = {"reason": "test run", "approver": "wu.gang", "version": ticket["version"]}
    assert (await client.post("/api/v1/tickets/1/false_alarm", json=body)).status_code == 200
    again = await client.post("/api/v1/tickets/1/false_alarm", json=body)
    assert again.status_code == 409
    (since,) = again.json().pop("since")
    assert (since["action"], since["actor"], since["to_state"]) == ("false_alarm", "wu.gang", "closed")
    assert since["changes"]["approver"] == [None, "wu.gang"]
    assert again.json() | {"detail": "", "title": "", "since": []} == {
        "since": [],
        "type": "urn:andon:problem:stale_version",
        "title": "",
        "detail": "",
        "status": 409,
        "code": "stale_version",
        "expected": ticket["version"],
        "actual": ticket["version"] + 1,
    }


async def test_a_step_names_the_version_it_was_decided_on(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L2-DCM-01", "stop"))
    body = {"reason": "test run", "approver": "wu.gang"}
    assert (await client.post("/api/v1/tickets/1/cancel", json=body)).status_code == 428
    answer = await client.post("/api/v1/tickets/1/cancel", json=body, headers={"If-Match": "1"})
    assert answer.status_code == 428


async def test_a_step_that_leads_nowhere_names_the_possible_ones(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L2-DCM-01", "stop"))
    answer = await client.post("/api/v1/tickets/1/sign", json={"version": 1})
    assert answer.status_code == 409
    assert answer.json()["code"] == "no_edge"
    assert "assign" in answer.json()["allowed"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "photo_empty"),
        (b"<svg onload='alert(1)'/>", 415, "photo_not_an_image"),
        (b"\xff" * (10 * 1024 * 1024 + 1), 413, "photo_too_large"),
    ],
)
async def test_only_photos_are_kept(
    floor: ShopFloor, client: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    floor.hears(floor.finding("L2-DCM-01", "stop"))
    answer = await client.post("/api/v1/tickets/1/photos", files={"photo": ("x.jpg", body, "image/jpeg")})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_photo_is_shown_to_its_ticket_only(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L2-DCM-01", "stop"), floor.finding("L2-CMP-01", "zone_d"))
    kept = (await client.post("/api/v1/tickets/1/photos", files={"photo": ("x.png", a_photo())})).json()
    shown = await client.get(f"/tickets/1/photos/{kept['sha256']}")
    assert shown.headers["content-type"] == "image/jpeg"
    assert "sandbox" in shown.headers["content-security-policy"]
    assert (await client.get(f"/tickets/2/photos/{kept['sha256']}")).status_code == 404
    assert (await client.get("/tickets/1/photos/..%2Fandon.sqlite")).status_code == 404


async def test_who_acts_is_someone_of_the_plant(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L2-DCM-01", "stop"))
    nobody = await client.post(
        "/api/v1/tickets/1/comments", json={"text": "hello"}, headers={"X-Andon-Person": "nobody"}
    )
    assert nobody.status_code == 422
    said = await client.post(
        "/api/v1/tickets/1/comments", json={"text": "<b>hello</b>"}, headers={"X-Andon-Person": "wang.lei"}
    )
    assert said.status_code == 201
    page = (await client.get("/tickets/1", headers={"Accept": "text/html"})).text
    assert "&lt;b&gt;hello&lt;/b&gt;" in page


@pytest.mark.parametrize(
    "path", ["/api/v1/tickets/99", "/api/v1/problems/99", "/api/v1/assets/none", "/api/v1/none"]
)
async def test_what_is_not_there_is_a_problem_with_status_404(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["tickets/{}", "tickets?offset={}", "reports?ticket={}", "outbox/{}"])
async def test_a_number_that_no_store_can_hold_is_refused(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get("/api/v1/" + path.format(2**63))
    assert answer.status_code == 422
    assert answer.json()["code"] in {"not_storable", "invalid_request"}


@pytest.mark.parametrize("path", ["/tickets/99", "/problems/99", "/assets/none", "/none"])
async def test_a_page_that_is_not_there_says_so_in_words(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


async def test_a_series_is_thinned_and_bad_values_are_null(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.measures("L1-SPN-01", hours=26)
    answer = await client.get("/api/v1/assets/L1-SPN-01/series?channel=DE/velocity_rms&points=50")
    series = answer.json()
    assert series["unit"] == "mm/s"
    assert 10 < len(series["value"]) <= 50
    assert series["at"] == sorted(series["at"])
    wrong = await client.get("/api/v1/assets/L1-SPN-01/series?channel=x&from=yesterday")
    assert wrong.status_code == 422


async def test_dead_letters_are_shown_byte_by_byte_and_never_as_markup(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.refuses(b"<script>alert(1)</script>\x00\xff\x1b[2J")
    page = (await client.get("/pipeline", headers={"Accept": "text/html"})).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x00\\xff\\x1b[2J" in page
    letters = (await client.get("/api/v1/dead-letters")).json()
    assert letters["counts"] == {"malformed_json": 1}
    assert letters["items"][0]["head_base64"].startswith("PHNjcmlwd")


async def test_counters_that_do_not_balance_are_named(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.counts(received=10, stored=7, duplicates=1, refused__schema=1, overflow=1)
    sources = {source["name"]: source for source in (await client.get("/api/v1/sources")).json()["items"]}
    assert sources[SOURCE]["balances"]
    assert sources[SOURCE]["refused"] == {"schema": 1}
    floor.counts(received=1)
    page = (await client.get("/pipeline", headers={"Accept": "text/html"})).text
    assert "off by 1" in page


async def test_gaps_are_listed_open_ones_apart(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.misses(None, to_ns=NOW_NS)
    floor.misses("L1-PRS-01")
    assert len((await client.get("/api/v1/gaps")).json()["items"]) == 2
    still = (await client.get("/api/v1/gaps?open=true")).json()["items"]
    assert [gap["asset"] for gap in still] == ["L1-PRS-01"]
    assert still[0]["to_at"] is None


async def test_ready_names_what_is_degraded(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]
    assert (await client.get("/healthz")).text == "ok\n"
    floor.degraded = ["plant_mqtt: not connected"]
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert "plant_mqtt: not connected" in answer.json()["degraded"]


async def test_metrics_count_each_source_and_escape_names(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.counts('odd"name', received=12_345_678, stored=12_345_678, refused__schema=2)
    floor.hears(floor.finding("L1-SPN-01", "zone_d"))
    lines = (await client.get("/metrics")).text.splitlines()
    assert 'andon_source_messages_total{source="odd\\"name",outcome="received"} 12345678' in lines
    assert 'andon_source_messages_total{source="odd\\"name",outcome="refused",reason="schema"} 2' in lines
    assert 'andon_tickets{state="pending_dispatch"} 1' in lines
    assert "# TYPE andon_tickets gauge" in lines
    assert f'andon_source_connected{{source="{SOURCE}"}} 1' in lines
    floor.misses("L1-PRS-01")
    assert any(
        line.startswith("andon_gaps_open{cause=") for line in (await client.get("/metrics")).text.splitlines()
    )


async def test_the_description_of_the_interface_names_every_step(client: httpx.AsyncClient) -> None:
    document = (await client.get("/api/v1/openapi.json")).json()
    steps = {path.rsplit("/", 1)[1] for path in document["paths"] if "/tickets/{ticket_id}/" in path}
    assert {"assign", "accept", "resolve", "sign", "reopen", "false_alarm"} <= steps
    assert all(path.startswith("/api/v1/") for path in document["paths"])


async def test_an_error_of_ours_tells_nothing_of_its_inside(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.series.close()
    answer = await client.get("/api/v1/assets/L1-SPN-01")
    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json() == {
        "type": "urn:andon:problem:broken",
        "title": "Broken",
        "status": 500,
        "code": "broken",
    }


async def test_a_point_is_fresh_stale_or_never_seen_in_api_page_and_metrics(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    machine = next(asset for asset in floor.plant.assets if len(asset.points) > 2)
    fresh, stale, *never = [point.id for point in machine.points]
    with writing(floor.database) as conn:
        freshness.save(conn, {(machine.id, fresh): (NOW_NS, "floor"), (machine.id, stale): (1, "floor")})
    answer = (await client.get(f"/api/v1/freshness?asset={machine.id}")).json()
    assert {one["point"]: one["state"] for one in answer["items"]} == {
        fresh: "fresh",
        stale: "stale",
        **dict.fromkeys(never, "never_seen"),
    }
    points = sum(len(asset.points) for asset in floor.plant.assets)
    assert answer["counts"] == {"fresh": 1, "stale": 1, "never_seen": points - 2}
    assert len((await client.get("/api/v1/freshness?state=stale")).json()["items"]) == 1
    metrics = (await client.get("/metrics")).text.splitlines()
    assert 'andon_points{state="stale"} 1' in metrics
    assert f'andon_point_heard_seconds{{asset="{machine.id}",point="{stale}"}} 1e-09' in metrics
    page = (await client.get("/pipeline", headers={"Accept": "text/html"})).text
    assert "Never seen" in page
    assert "Stale" in page
