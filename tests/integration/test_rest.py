"""What a partner's programmer relies on, on every route: pages, filters, keys, versions, refusals, and the description."""

import asyncio
import json
from itertools import count
from typing import Any

import httpx
import jsonschema_rs
import pytest

from andon.events import HOUR_NS, SECOND_NS
from api.paging import cursor_of
from tests.shop_floor import ShopFloor, console
from ticketing import reports

API = "/api/v1"
Json = dict[str, Any]
VERSION = {"If-Match": '"1"'}


def busy(floor: ShopFloor) -> None:
    """Several of whatever is listed."""
    for asset in ("L1-SPN-01", "L1-CLP-01", "L2-CLP-01"):
        if floor.plant.asset(asset) is not None:
            floor.hears(floor.finding(asset, "stop"), floor.finding(asset, "silent_sensor"))
            floor.misses(asset)
    floor.hears(floor.finding("L1-SPN-01", "stop", ago_s=30), floor.finding("L1-SPN-01", "zone_d"))
    for position in range(3):
        floor.refuses(b"{", position=position)
    body = {
        "type": "equipment_repair",
        "asset": "L1-SPN-01",
        "description": "it hums",
        "phone": "13800001111",
    }
    for said in ("hums", "hums loudly", "smells"):
        reports.receive(
            floor.tickets,
            json.dumps(body | {"description": said}).encode(),
            actor="li.na",
            came_by="api",
            now_ns=floor.clock(),
        )


async def listings(client: httpx.AsyncClient) -> list[str]:
    document = (await client.get(f"{API}/openapi.json")).json()
    return [
        path.replace("{ticket_id}", "1")
        .replace("{asset_id}", "L1-SPN-01")
        .replace("{person}", "li.na")
        .replace("{code}", "closing_rate")
        + ("?fault=line_stop" if path.endswith("/failures/tickets") else "")
        for path, methods in document["paths"].items()
        if "get" in methods and any(one["name"] == "after" for one in methods["get"].get("parameters", ()))
    ]


async def walked(client: httpx.AsyncClient, address: str, limit: int) -> list[Json]:
    items: list[Json] = []
    if "limit=" not in address:
        address += f"{'&' if '?' in address else '?'}limit={limit}"
    while True:
        answer = await client.get(address)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
        assert len(page["items"]) <= limit
        if page["next"] is None:
            assert "link" not in answer.headers
            return items
        address = answer.links["next"]["url"]


async def test_every_list_is_the_same_in_small_pages_as_in_one(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    busy(floor)
    lists, long = await listings(client), []
    for address in lists:
        if (await client.get(address)).status_code == 404:
            assert address == f"{API}/drift" or "{name}" in address  # there is none of these yet
            continue
        whole = await walked(client, address, 500)
        assert await walked(client, address, 1) == whole, address
        long += [address] if len(whole) > 1 else []
    assert len(lists) > 20
    assert len(long) > 12


@pytest.mark.parametrize("sort", ["urgency", "last_event", "newest", "oldest", "due"])
async def test_a_walk_neither_repeats_nor_misses_a_ticket_while_others_come(
    floor: ShopFloor, client: httpx.AsyncClient, sort: str
) -> None:
    assets = [one.id for one in floor.plant.assets]
    for n, asset in enumerate(assets[:7]):
        floor.hears(floor.finding(asset, "stop", ago_s=500 + 7 * n % 5))
    before = {one["id"] for one in (await client.get(f"{API}/tickets")).json()["items"]}
    address, seen = f"{API}/tickets?limit=2&sort={sort}", []
    for n in count():
        answer = await client.get(address)
        seen += [one["id"] for one in answer.json()["items"]]
        if answer.json()["next"] is None:
            break
        for asset in assets[7 + 2 * n : 9 + 2 * n]:
            floor.hears(floor.finding(asset, "silent_sensor", ago_s=900 if n % 2 else 1))
        address = answer.links["next"]["url"]
        assert n < 50
    assert len(seen) == len(set(seen))
    assert len(before) > 5
    assert before <= set(seen)


async def test_a_search_is_walked_too(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    for asset in floor.plant.assets[:5]:
        floor.hears(floor.finding(asset.id, "stop"))
    whole = (await client.get(f"{API}/tickets?text=hydraulic")).json()
    assert len(whole["items"]) == 5
    found = await walked(client, f"{API}/tickets?text=hydraulic&limit=2", 2)
    assert [one["id"] for one in found] == [one["id"] for one in whole["items"]]


@pytest.mark.parametrize("after", ["x", "WzFd", cursor_of(("a", "b", "c")), "W10", cursor_of((1,)) + "="])
async def test_a_cursor_of_another_list_is_refused(client: httpx.AsyncClient, after: str) -> None:
    answer = await client.get(f"{API}/tickets", params={"after": after})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


async def test_an_unknown_parameter_is_refused_with_what_was_meant(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{API}/tickets?stat=open")
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")
    assert "did you mean 'state'" in answer.json()["detail"]
    answer = await client.get(f"{API}/tickets?line=L1&line=L2")
    assert (answer.status_code, answer.json()["code"]) == (422, "repeated_parameter")


async def test_the_page_and_the_api_filter_alike(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    busy(floor)
    for query in ("line=L1", "state=open&asset=L1-SPN-01", "text=hydraulic", "sort=newest", "overdue=true"):
        listed = (await client.get(f"{API}/tickets?{query}")).json()["items"]
        page = (await client.get(f"/tickets?{query}", headers={"Accept": "text/html"})).text
        numbers = [page.find(f'href="/tickets/{one["id"]}"') for one in listed]
        assert -1 not in numbers, query
        others = (await client.get(f"{API}/tickets")).json()["items"]
        shown = {one["id"] for one in others if f'href="/tickets/{one["id"]}"' in page}
        assert shown == {one["id"] for one in listed}, query


async def comment(client: httpx.AsyncClient, key: str, text: str = "heard it") -> httpx.Response:
    return await client.post(
        f"{API}/tickets/1/comments", json={"text": text}, headers={"Idempotency-Key": key}
    )


async def remarks(client: httpx.AsyncClient) -> int:
    events = (await client.get(f"{API}/tickets/1")).json()["events"]
    return sum(one["action"] == "comment" for one in events)


async def test_a_post_under_a_key_is_done_once_for_a_day(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L1-SPN-01", "stop"))
    first, again = await comment(client, "k1"), await comment(client, "k1")
    assert first.status_code == again.status_code == 201
    assert (again.json(), again.headers["etag"]) == (first.json(), first.headers["etag"])
    assert again.headers["idempotency-replayed"] == "true"
    assert await remarks(client) == 1
    other = await comment(client, "k1", "something else")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    floor.clock.now_ns += 24 * HOUR_NS
    assert "idempotency-replayed" not in (await comment(client, "k1")).headers
    assert await remarks(client) == 2


async def test_a_refused_step_leaves_its_key_free(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L1-SPN-01", "stop"))
    step = {"person": "li.na", "backup": "wu.gang", "reason": "li.na repaired this spindle last month"}
    refused = await client.post(
        f"{API}/tickets/1/assign", json=step | {"version": 99}, headers={"Idempotency-Key": "s"}
    )
    assert refused.json()["code"] == "stale_version"
    version = (await client.get(f"{API}/tickets/1")).json()["ticket"]["version"]
    done = await client.post(
        f"{API}/tickets/1/assign", json=step | {"version": version}, headers={"Idempotency-Key": "s"}
    )
    assert done.status_code == 200, done.text


async def test_of_many_at_once_under_one_key_one_is_done(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L1-SPN-01", "stop"))
    answers = await asyncio.gather(*(comment(client, "same") for _ in range(8)))
    assert {one.status_code for one in answers} <= {201, 409}
    assert {one.json()["code"] for one in answers if one.status_code == 409} <= {"idempotency_key_in_use"}
    assert await remarks(client) == 1


async def test_a_request_that_was_cut_off_says_that_nobody_knows(
    floor: ShopFloor, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "stop"))
    monkeypatch.setattr("andon.once.finish", lambda *_: None)  # the process ends before it can say
    await comment(client, "k")
    assert (await comment(client, "k")).json()["code"] == "idempotency_key_in_use"
    floor.clock.now_ns += 61 * SECOND_NS
    assert (await comment(client, "k")).json()["code"] == "idempotency_outcome_unknown"


async def test_one_persons_key_is_not_anothers(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L1-SPN-01", "stop"))
    await comment(client, "k")
    client.headers["X-Andon-Person"] = "li.na"
    assert "idempotency-replayed" not in (await comment(client, "k")).headers


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "more"),
    [
        ("GET", f"{API}/nowhere", 404, "not_found", {}),
        ("GET", f"{API}/tickets/999", 404, "ticket_not_found", {}),
        ("PUT", f"{API}/tickets/1", 405, "method_not_allowed", {}),
        ("GET", f"{API}/outbox/redrive", 405, "method_not_allowed", {}),
        (
            "POST",
            f"{API}/tickets/1/cancel",
            415,
            "unsupported_media_type",
            {"content": b"a=1", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        ),
        ("POST", f"{API}/tickets/1/cancel", 422, "invalid_request", {"json": {"reasons": "x"}}),
        ("POST", f"{API}/tickets/1/cancel", 428, "precondition_required", {"json": {}}),
        (
            "POST",
            f"{API}/tickets/1/cancel",
            409,
            "stale_version",
            {"json": {"reason": "it is planned work"}, "headers": {"If-Match": '"99"'}},
        ),
    ],
)
async def test_a_refusal_is_a_problem(
    floor: ShopFloor,
    client: httpx.AsyncClient,
    *,
    method: str,
    path: str,
    status: int,
    code: str,
    more: Json,
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "stop"))
    answer = await client.request(method, path, **more)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (status, code, status)
    if status == 405:
        assert method not in answer.headers["allow"].split(", ")


async def test_an_error_of_ours_shows_nothing_of_the_inside(
    floor: ShopFloor, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr("api.tickets.store.tickets", broken)
    answer = await client.get(f"{API}/tickets")
    assert (answer.status_code, answer.json()["code"]) == (500, "broken")
    assert "secret" not in answer.text


def test_the_description_is_whole(floor: ShopFloor) -> None:
    document = console(floor.context).openapi()
    operations = [(path, one) for path, methods in document["paths"].items() for one in methods.values()]
    names = [one["operationId"] for _, one in operations]
    assert len(names) == len(set(names))
    for path, one in operations:
        assert one["summary"], path
        assert one["tags"], path
        assert one["tags"][0] in {tag["name"] for tag in document["tags"]}, path
        assert {"401", "403", "422", "500"} <= one["responses"].keys(), path
        answer = next(said for status, said in one["responses"].items() if status.startswith("2"))
        for content in answer.get("content", {}).values():
            assert content["schema"], f"{path}: api/told.py says nothing of what it answers"
    assert document["openapi"].startswith("3.1")


def test_every_example_is_what_its_schema_asks_for(floor: ShopFloor) -> None:
    document = console(floor.context).openapi()
    seen = 0
    for path, methods in document["paths"].items():
        for operation in methods.values():
            shown = [
                *((one["schema"], one["example"]) for one in operation["parameters"] if "example" in one),
                *(
                    (one["schema"], one["example"])
                    for kind, one in operation.get("requestBody", {}).get("content", {}).items()
                    if kind == "application/json"
                ),
            ]
            for schema, example in shown:
                whole = {**schema, "components": document["components"]}
                assert jsonschema_rs.is_valid(whole, example), (path, example)
                seen += 1
    assert seen > 100
