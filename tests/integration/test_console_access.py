"""Who may ask the console: the token, our own machine, our own pages; and what every answer forbids."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.auth import cookie_name
from tests.shop_floor import BASE, OURS, TOKEN, ShopFloor, a_busy_day, console


def paths_of(route: Any) -> list[str]:
    """The paths of a route, or of the router that was included in its place."""
    inner = getattr(route, "original_router", None)
    if inner is None:
        return [route.path]
    return [route.include_context.prefix + path for one in inner.routes for path in paths_of(one)]


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
    transport = httpx.ASGITransport(console(floor.context))
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
