"""The console's REST interface on real stores: who may ask, what is answered, what a step needs."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from andon.events import Action, rfc3339
from api.app import create_app
from api.auth import cookie_name
from tests.shop_floor import NOW_NS, SOURCE, TOKEN, ShopFloor, a_busy_day

BASE = "http://127.0.0.1:8080"
OURS = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def floor(tmp_path: Path) -> ShopFloor:
    return ShopFloor(tmp_path)


@pytest.fixture
async def client(floor: ShopFloor) -> AsyncIterator[httpx.AsyncClient]:
    """A program with the token."""
    transport = httpx.ASGITransport(create_app(floor.context), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        yield client


@pytest.fixture
async def browser(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A browser that opened the link."""
    del client.headers["Authorization"]
    client.headers["Accept"] = "text/html"
    answer = await client.get(f"/?token={TOKEN}")
    assert answer.status_code == 303
    return client


def a_photo(colour: str = "orange") -> bytes:
    body = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(body, "JPEG")
    return body.getvalue()


async def the_ticket(client: httpx.AsyncClient, ticket_id: int = 1) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/tickets/{ticket_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["ticket"]
    return found


def paths_of(route: Any) -> list[str]:
    """The paths of a route, or of the router that was included in its place."""
    inner = getattr(route, "original_router", None)
    if inner is None:
        return [route.path]
    return [route.include_context.prefix + path for one in inner.routes for path in paths_of(one)]


# Who may ask


async def test_without_token_a_page_says_where_the_link_is(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]
    answer = await client.get("/", headers={"Accept": "text/html", "Accept-Language": "zh"})
    assert answer.status_code == 401
    assert "终端" in answer.text
    assert 'lang="zh-CN"' in answer.text


@pytest.mark.parametrize(
    "path", ["/api/v1/tickets", "/api/v1/openapi.json", "/metrics", "/tickets/1", "/live"]
)
async def test_without_token_nothing_is_answered(client: httpx.AsyncClient, path: str) -> None:
    del client.headers["Authorization"]
    answer = await client.get(path)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "no_token"


async def test_every_route_is_behind_the_token_but_the_probes(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    del client.headers["Authorization"]
    paths = {path for route in create_app(floor.context).routes for path in paths_of(route)}
    assert len(paths) > 40
    open_paths = []
    for path in sorted(paths):
        answer = await client.get(path.replace("{ticket_id}", "1"))
        if answer.status_code != 401:
            open_paths.append(path)
    assert [path for path in open_paths if not path.startswith("/static/")] == ["/healthz", "/readyz"]


async def test_a_wrong_token_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/tickets", headers={"Authorization": "Bearer wrong"})).status_code == 401
    del client.headers["Authorization"]
    assert (await client.get("/?token=wrong")).json()["code"] == "wrong_token"
    assert (await client.get("/?token=" + "€" * 9)).status_code == 401


async def test_the_link_becomes_a_cookie_and_leaves_the_address(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]
    answer = await client.get(f"/tickets?token={TOKEN}&state=open")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/tickets?state=open"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(cookie_name(TOKEN))
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert (await client.get("/tickets?state=open")).status_code == 200


async def test_a_foreign_host_name_is_refused_even_with_the_token(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/tickets", headers={"Host": "evil.example:8080"})
    assert answer.status_code == 421
    assert answer.json()["code"] == "foreign_host"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null", **OURS}, 303),
        ({"Origin": BASE}, 303),
    ],
)
async def test_writes_with_the_cookie_come_from_our_own_pages(
    browser: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    answer = await browser.post("/preferences", data={"language": "zh"}, headers=headers)
    assert answer.status_code == status


async def test_every_answer_carries_the_safe_headers(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


async def test_pages_hold_no_script_or_style_of_their_own(tmp_path: Path) -> None:
    floor = a_busy_day(tmp_path)
    transport = httpx.ASGITransport(create_app(floor.context))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        for path in (
            "/",
            "/tickets",
            "/tickets/1",
            "/problems/1",
            "/assets",
            "/assets/L1-SPN-01",
            "/pipeline",
        ):
            page = (await client.get(path)).text
            assert " style=" not in page, path
            assert "<style" not in page, path
            assert " onclick=" not in page, path
            scripts = [part.split(">")[0] for part in page.split("<script")[1:]]
            assert all("src=" in script or "application/json" in script for script in scripts), path


async def test_going_back_never_leaves_the_console(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/preferences", data={"back": "//evil.example/"}, headers=OURS)
    assert answer.headers["location"] == "/"


# Tickets


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
    transport = httpx.ASGITransport(create_app(floor.context))
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
    assert again.json() | {"detail": "", "title": ""} == {
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


@pytest.mark.parametrize("path", ["/tickets/99", "/problems/99", "/assets/none", "/none"])
async def test_a_page_that_is_not_there_says_so_in_words(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


# Pages' forms


async def test_assigning_from_the_inbox_brings_up_the_next_ticket(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"), floor.finding("L2-CMP-01", "bearing_outer_race"))
    form = {"version": "1", "person": "wang.lei", "backup": "chen.jing", "next": "2", "reason": "knows it"}
    answer = await browser.post("/inbox/1/assign", data=form, headers=OURS)
    assert answer.headers["location"] == "/?ticket=2"
    page = (await browser.get("/?ticket=2")).text
    assert "A-1 is assigned to 王磊 Wang Lei" in page
    assert "A-1 is assigned" not in (await browser.get("/?ticket=2")).text


async def test_a_form_on_an_old_version_says_so_and_changes_nothing(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"))
    form = {"version": "7", "person": "wang.lei", "backup": "chen.jing", "reason": "knows it"}
    answer = await browser.post("/tickets/1/assign", data=form, headers=OURS)
    assert answer.headers["location"] == "/tickets/1"
    page = (await browser.get("/tickets/1")).text
    assert "changed by someone else" in page
    assert "Pending dispatch" in page


async def test_a_form_that_lacks_something_names_it(floor: ShopFloor, browser: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"))
    form = {"version": "1", "person": "wang.lei", "backup": "wang.lei", "reason": "knows it"}
    await browser.post("/tickets/1/assign", data=form, headers=OURS)
    assert "A backup who is not the same person" in (await browser.get("/tickets/1")).text


async def test_a_duplicate_is_named_by_its_number(floor: ShopFloor, browser: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"), floor.finding("L2-CMP-01", "bearing_outer_race"))
    form = {"version": "1", "master": "A-1", "reason": "same machine", "approver": "wu.gang"}
    await browser.post("/tickets/2/duplicate", data=form, headers=OURS)
    assert "Duplicate" in (await browser.get("/tickets/2")).text


async def test_every_page_speaks_both_languages(tmp_path: Path) -> None:
    floor = a_busy_day(tmp_path)
    transport = httpx.ASGITransport(create_app(floor.context))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        for path, zh, en in (
            ("/", "指派给", "Assign"),
            ("/tickets", "待分派", "Pending dispatch"),
            ("/tickets/2", "责任链", "Responsibility"),
            ("/problems/1", "再次失效", "failed again"),
            ("/assets", "10 台设备", "10 machines"),
            ("/assets/L1-SPN-01", "滚动体数", "Rolling elements"),
            ("/pipeline", "死信", "Dead letters"),
        ):
            for language, said in (("zh", zh), ("en", en)):
                page = (await client.get(path, headers={"Accept-Language": language})).text
                assert said in page, (path, language)
                assert f'<html lang="{"zh-CN" if language == "zh" else "en"}"' in page


# Machines, pipeline, health


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


# Live hints


class Tab:
    """One open tab: a WebSocket on the application, without a network."""

    def __init__(self, app: Any, headers: dict[str, str]) -> None:
        self.said: list[dict[str, Any]] = []
        self._gone = asyncio.Event()
        self._spoke = asyncio.Condition()
        self._given = [{"type": "websocket.connect"}]
        cookie = f"{cookie_name(TOKEN)}={TOKEN}"
        wire = {"host": "127.0.0.1:8080", "cookie": cookie, **headers}
        scope = {
            "type": "websocket",
            "path": "/live",
            "raw_path": b"/live",
            "query_string": b"",
            "scheme": "ws",
            "server": ("127.0.0.1", 8080),
            "headers": [(name.lower().encode(), value.encode()) for name, value in wire.items()],
        }
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if self._given:
            return self._given.pop()
        await self._gone.wait()
        return {"type": "websocket.disconnect", "code": 1001}

    async def _send(self, message: dict[str, Any]) -> None:
        self.said.append(message)
        async with self._spoke:
            self._spoke.notify_all()

    @property
    def numbers(self) -> list[int]:
        return [json.loads(said["text"])["changed"] for said in self.said if said["type"] == "websocket.send"]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5), self._spoke:
            await self._spoke.wait_for(lambda: len(self.numbers) >= count)

    async def close(self) -> None:
        self._gone.set()
        await self.task


async def test_open_tabs_are_told_that_something_changed(floor: ShopFloor) -> None:
    app = create_app(floor.context)
    async with app.router.lifespan_context(app):
        tabs = [Tab(app, {"Origin": BASE}) for _ in range(3)]
        for tab in tabs:
            await tab.until(1)
        floor.hears(floor.finding("L1-SPN-01", "zone_d"))
        for tab in tabs:
            await tab.until(2)
            assert tab.numbers[1] > tab.numbers[0]
            await tab.close()
        assert app.state.watch.tabs == 0


async def test_a_foreign_page_cannot_listen(floor: ShopFloor) -> None:
    app = create_app(floor.context)
    tab = Tab(app, {"Origin": "http://evil.example"})
    await tab.task
    assert tab.said == [{"type": "websocket.close", "code": 1008}]


async def test_what_is_heard_again_moves_no_number(floor: ShopFloor) -> None:
    app = create_app(floor.context)
    finding = floor.finding("L1-SPN-01", "zone_d", action=Action.RAISE)
    floor.hears(finding)
    async with app.router.lifespan_context(app):
        tab = Tab(app, {"Origin": BASE})
        await tab.until(1)
        floor.hears(finding)
        floor.hears(floor.finding("L2-CMP-01", "zone_d"))
        await tab.until(2)
        assert len(tab.numbers) == 2
        await tab.close()
