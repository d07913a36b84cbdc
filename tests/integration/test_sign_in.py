"""How people come in and programs are let in, at the console of an installation with accounts."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from andon.access import accounts, keys
from andon.access.audit import By
from andon.access.roles import Right, Role
from andon.access.signing_in import Desk
from andon.database import writing
from andon.events import HOUR_NS, MINUTE_NS
from api.app import create_app
from api.bodies import KIB, MIB
from api.pace import Pace
from tests.integration.test_live import Tab
from tests.shop_floor import BASE, OURS, ShopFloor, console

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SECRET, ANOTHER = "three red pumps", "four blue valves"
WHO = "chen.jing"
TLS = "https://andon.example:8443"
PAGE = {"Accept": "text/html", "Accept-Language": "en"}


@pytest.fixture
def floor(tmp_path: Any) -> ShopFloor:
    """A shop floor with accounts in place of the link: chen.jing, a planner, and a root who is administrator."""
    floor = ShopFloor(tmp_path)
    by = By("init", floor.clock.now_ns)
    with writing(floor.database) as conn:
        for name, role in (("root", Role.ADMINISTRATOR), (WHO, Role.PLANNER)):
            accounts.create(conn, name, roles=[role], password=SECRET, must_change=False, by=by, hasher=QUICK)
    floor.context = replace(
        floor.context,
        token=None,
        desk=Desk(floor.database, hasher=QUICK),
        names=frozenset({"andon.example"}),
    )
    return floor


def visitor(floor: ShopFloor, base: str = BASE, **headers: str) -> httpx.AsyncClient:
    """A browser that nobody has signed in with yet; what it sends comes from our pages."""
    transport = httpx.ASGITransport(console(floor.context), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=base, headers=PAGE | OURS | headers)


@pytest.fixture
async def browser(floor: ShopFloor) -> AsyncIterator[httpx.AsyncClient]:
    async with visitor(floor) as browser:
        yield browser


async def sign_in(browser: httpx.AsyncClient, **form: str) -> httpx.Response:
    return await browser.post("/sign-in", data={"name": WHO, "password": SECRET} | form)


def key_of(floor: ShopFloor, *rights: Right) -> str:
    with writing(floor.database) as conn:
        by = By("root", floor.clock.now_ns)
        return keys.add(conn, WHO, name="MES", rights=rights, days=30, by=by)


async def test_a_stranger_is_led_to_the_page_to_sign_in_and_back_to_what_was_asked(
    browser: httpx.AsyncClient,
) -> None:
    asked = await browser.get("/tickets?state=open")
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?back=/tickets%3Fstate%3Dopen")
    page = await browser.get(asked.headers["location"])
    assert page.status_code == 200
    assert 'value="/tickets?state=open"' in page.text
    answer = await sign_in(browser, back="/tickets?state=open")
    assert (answer.status_code, answer.headers["location"]) == (303, "/tickets?state=open")
    assert (await browser.get("/tickets?state=open")).status_code == 200


async def test_the_page_to_sign_in_speaks_both_languages_and_asks_for_no_script(
    browser: httpx.AsyncClient,
) -> None:
    assert "Sign in" in (await browser.get("/sign-in")).text
    page = await browser.get("/sign-in", headers={"Accept-Language": "zh"})
    assert "登录" in page.text
    assert "<script" not in page.text
    chosen = await browser.post("/sign-in", data={"language": "zh", "back": "/alarms"})
    assert chosen.headers["location"] == "/sign-in?back=/alarms"
    assert "登录" in (await browser.get("/sign-in")).text


@pytest.mark.parametrize("path", ["/api/v1/tickets", "/metrics", "/api/v1/openapi.json", "/live", "/account"])
async def test_a_program_without_a_key_gets_a_problem(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_demos_token_opens_nothing_here(browser: httpx.AsyncClient) -> None:
    for headers in (
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer None"},
        {"Cookie": "andon_session="},
    ):
        assert (await browser.get("/api/v1/tickets", headers=headers)).status_code == 401
    assert (await browser.get("/?token=")).status_code == 303  # to the page to sign in


async def test_the_cookie_is_for_this_console_alone(floor: ShopFloor) -> None:
    async with visitor(floor) as plain, visitor(floor, TLS) as encrypted:
        cookie = (await sign_in(plain)).headers["set-cookie"]
        assert cookie.startswith("andon_session_8080=")
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
        assert "Secure" not in cookie
        answer = await sign_in(encrypted)
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-andon_session_8443=")
        assert {"HttpOnly", "SameSite=strict", "Path=/", "Secure"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        chosen = await encrypted.post("/preferences", data={"language": "zh"})
        assert "Secure" in chosen.headers["set-cookie"]


async def test_only_listed_names_are_answered(floor: ShopFloor) -> None:
    async with visitor(floor, "https://evil.example") as elsewhere, visitor(floor, TLS) as here:
        assert (await elsewhere.get("/sign-in")).status_code == 421
        assert (await here.get("/sign-in")).status_code == 200


async def test_a_wrong_password_says_so_and_the_sixth_try_says_when(browser: httpx.AsyncClient) -> None:
    for name in (WHO, "nobody"):
        for _ in range(5):
            answer = await sign_in(browser, name=name, password="wrong")
            assert answer.status_code == 401
            assert "The name or the password is wrong" in answer.text
            assert "set-cookie" not in answer.headers
        locked = await sign_in(browser, name=name)
        assert (locked.status_code, locked.headers["retry-after"]) == (429, "60")
        assert "heard at 15:21, in 1 minute." in locked.text  # the plant's time


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
    ],
)
async def test_another_site_can_neither_sign_in_nor_write(
    browser: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await browser.post("/sign-in", data={"name": WHO, "password": SECRET}, headers=headers)
    assert answer.status_code == 403
    await sign_in(browser)
    for path in ("/sign-out", "/account/password", "/account/keys", "/preferences"):
        assert (await browser.post(path, headers=headers)).status_code == 403
    assert (await browser.get("/account")).status_code == 200


async def test_a_link_from_elsewhere_comes_once_more_with_the_cookie(browser: httpx.AsyncClient) -> None:
    """A strict cookie is not sent along from another site; the page that answers asks again from here."""
    answer = await browser.get("/tickets/1", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert 'http-equiv="refresh" content="0"' in answer.text


async def test_after_the_address_of_another_site_nobody_is_sent_there(browser: httpx.AsyncClient) -> None:
    for back in ("//evil.example/", "///evil.example", "/\t//evil.example", "/\\evil.example"):
        assert (await sign_in(browser, back=back)).headers["location"] == "/", back
    assert (await browser.get("/sign-in?back=https://evil.example")).headers["location"] == "/"


async def test_until_the_first_password_is_changed_nothing_else_answers(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    with writing(floor.database) as conn:
        first = accounts.reset(conn, WHO, By("root", floor.clock.now_ns), QUICK)
    await sign_in(browser, password=first)
    for path in ("/", "/tickets", "/account", "/report"):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/account/password")
    for method, path in (("GET", "/api/v1/tickets"), ("POST", "/api/v1/reports"), ("GET", "/metrics")):
        answer = await browser.request(method, path, headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (403, "must_change")
    form = {"old": first, "new": ANOTHER, "again": ANOTHER}
    for wrong, said in (
        ({"again": "x"}, "not the same"),
        ({"old": "x"}, "password until now is wrong"),
        ({"new": "short", "again": "short"}, "fewer than 12"),
        ({"new": first, "again": first}, "the one you have"),
    ):
        answer = await browser.post("/account/password", data=form | wrong)
        assert said in answer.text
    assert (await browser.post("/account/password", data=form)).headers["location"] == "/"
    assert (await browser.get("/tickets")).status_code == 200


async def test_who_is_signed_in_acts_as_themselves_and_as_nobody_else(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"))
    await sign_in(browser)
    page = (await browser.get("/")).text
    assert 'id="me"' not in page  # the demo's menu
    assert (
        '<button class="button plain account" type="button" popovertarget="account" aria-label="Signed in as'
        in page
    )
    await browser.post("/preferences", data={"person": "wang.lei"})
    said = {"text": "seen"}
    for headers in ({}, {"X-Andon-Person": WHO}):
        answer = await browser.post("/api/v1/tickets/1/comments", json=said, headers=headers)
        assert answer.status_code in {200, 201}, answer.text
    answer = await browser.post(
        "/api/v1/tickets/1/comments", json=said, headers={"X-Andon-Person": "wang.lei", "Accept": "*/*"}
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "acts_for_others")
    activity = (await browser.get("/api/v1/tickets/1")).text
    assert activity.count(f'"{WHO}"') >= 2
    assert "wang.lei" not in "".join(re.findall(r'"actor":\s*"([^"]*)"', activity))


async def test_signing_out_ends_the_session_itself(floor: ShopFloor, browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    stolen = dict(browser.cookies)
    assert (await browser.post("/sign-out")).headers["location"] == "/sign-in"
    async with visitor(floor) as thief:
        thief.cookies.update(stolen)
        assert (await thief.get("/")).headers["location"].startswith("/sign-in")


async def test_a_person_sees_and_ends_their_sessions_and_nobody_elses(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    await sign_in(browser)
    async with visitor(floor) as phone, visitor(floor) as root:
        await sign_in(phone)
        await sign_in(root, name="root")
        page = (await browser.get("/account")).text
        assert re.findall(r"/account/sessions/(\d+)/end", page) == ["2", "1"]
        assert (await browser.post("/account/sessions/3/end")).status_code == 404
        assert (await root.get("/account")).status_code == 200
        assert (await browser.post("/account/sessions/2/end")).headers["location"] == "/account"
        assert (await phone.get("/account")).status_code == 303


async def test_an_idle_session_asks_to_sign_in_again_and_a_fragment_says_where(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    await sign_in(browser)
    for _ in range(3):
        floor.clock.now_ns += 11 * HOUR_NS
        assert (await browser.get("/")).status_code == 200  # being used keeps it
    floor.clock.now_ns += 13 * HOUR_NS
    assert (await browser.get("/")).status_code == 303
    fragment = await browser.get("/tickets?page=2", headers={"HX-Request": "true"})
    assert (fragment.status_code, fragment.headers["hx-redirect"]) == (
        401,
        "/sign-in?back=/tickets%3Fpage%3D2",
    )


async def test_an_open_tab_is_closed_with_its_session(floor: ShopFloor, browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    app = create_app(floor.context)
    async with app.router.lifespan_context(app):
        tab = Tab(app, {"Origin": BASE, "cookie": cookie})
        await tab.until(1)
        with writing(floor.database) as conn:
            accounts.set_roles(conn, WHO, [Role.VIEWER], By("root", floor.clock.now_ns))
        async with asyncio.timeout(60):
            while {"type": "websocket.close", "code": 1008, "reason": ""} not in tab.said:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await tab.close()
        refused = Tab(app, {"Origin": BASE, "cookie": cookie})
        await refused.task
        assert refused.said == [{"type": "websocket.close", "code": 1008}]


async def test_a_key_is_shown_once_and_lets_a_program_in_until_it_is_revoked(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    await sign_in(browser)
    made = await browser.post("/account/keys", data={"name": "MES", "days": "30", "right": ["read"]})
    (key,) = re.findall(r"andon_[\w-]{20,}", made.text)
    assert key not in (await browser.get("/account")).text
    bearer = {"Authorization": f"Bearer {key}", "Accept": "*/*", "Sec-Fetch-Site": ""}
    async with visitor(floor, **bearer) as program:
        assert (await program.get("/api/v1/tickets")).status_code == 200
        denied = await program.post("/api/v1/alarms/1/acknowledge", json={})
        assert (denied.status_code, denied.json()["code"]) == (403, "no_right")
        for path in ("/account", "/account/password"):
            assert (await program.get(path)).status_code == 403
        assert (await program.post("/account/keys", data={"name": "x"})).status_code == 403
        assert (await browser.post("/account/keys/1/revoke")).status_code == 303
        assert (await program.get("/api/v1/tickets")).status_code == 401


async def test_a_key_writes_without_a_page_and_a_cookie_does_not_help_it(floor: ShopFloor) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"))
    bearer = {"Authorization": f"Bearer {key_of(floor, Right.READ, Right.REPORT)}", "Sec-Fetch-Site": ""}
    async with visitor(floor, **bearer) as program:
        answer = await program.post("/api/v1/tickets/1/comments", json={"text": "from the MES"})
        assert answer.status_code in {200, 201}, answer.text
    async with visitor(floor, Authorization="Bearer andon_nonsense") as guesser:
        await sign_in(guesser)
        assert (await guesser.get("/api/v1/tickets", headers={"Accept": "*/*"})).status_code == 401


async def test_what_a_person_was_answered_is_not_told_to_a_key_of_theirs_with_fewer_rights(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"))
    await sign_in(browser)
    once, path = {"Idempotency-Key": "seen on the wire"}, "/api/v1/tickets/1/comments"
    assert (await browser.post(path, json={"text": "mine"}, headers=once)).status_code == 201
    bearer = {"Authorization": f"Bearer {key_of(floor, Right.READ)}", "Sec-Fetch-Site": ""}
    async with visitor(floor, **bearer) as program:
        assert (await program.post(path, json={"text": "mine"}, headers=once)).status_code == 403


async def test_too_many_requests_are_told_when_to_come_again_and_others_are_not_kept(
    floor: ShopFloor,
) -> None:
    now_s = 0.0
    floor.context = replace(floor.context, pace=Pace(60, burst=5, clock=lambda: now_s))
    async with visitor(floor) as browser, visitor(floor) as stranger:
        await sign_in(browser)
        answers = [await browser.get("/api/v1/rules", headers={"Accept": "*/*"}) for _ in range(6)]
        assert [one.status_code == 429 for one in answers] == [False] * 5 + [True]
        assert (answers[5].headers["retry-after"], answers[5].json()["code"]) == ("1", "too_many_requests")
        assert "Too many requests" in (await browser.get("/")).text
        assert [(await stranger.get("/sign-in")).status_code for _ in range(5)] == [200] * 4 + [429]
        assert (await stranger.get("/healthz")).status_code == 200
        now_s = 1.0
        assert (await browser.get("/")).status_code == 200


async def test_a_body_is_no_larger_than_what_it_is_for(browser: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * KIB

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await browser.post("/sign-in", content=b"x" * (17 * KIB), headers=form)).status_code == 413
    assert (await browser.post("/sign-in", content=endless(), headers=form)).status_code == 413
    await sign_in(browser)
    json = {"Content-Type": "application/json", "Accept": "*/*"}
    answer = await browser.post("/api/v1/suppressions", content=b"x" * (2 * MIB + 1), headers=json)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


async def test_a_body_that_does_not_come_is_not_waited_for(
    floor: ShopFloor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.bodies.PATIENCE_S", 0.2)
    said: list[dict[str, Any]] = []
    headers = {"host": "127.0.0.1:8080", "content-length": "100", "sec-fetch-site": "same-origin"}
    headers["content-type"] = "application/x-www-form-urlencoded"
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/sign-in",
        "raw_path": b"/sign-in",
        "query_string": b"",
        "server": ("127.0.0.1", 8080),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        said.append(message)

    async with asyncio.timeout(60):
        await console(floor.context)(scope, receive, send)
    assert said[0]["status"] == 408


async def test_the_lock_is_the_accounts_wherever_it_is_tried(floor: ShopFloor) -> None:
    async with visitor(floor) as browser, visitor(floor, TLS) as other:
        for _ in range(5):
            await sign_in(browser, password="wrong")
        assert (await sign_in(other)).status_code == 429
        floor.clock.now_ns += MINUTE_NS
        assert (await sign_in(other)).status_code == 303
