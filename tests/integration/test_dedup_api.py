"""Deduplication and merging over REST: rules with versions, what came late, a dry run, splitting, unmerging, links."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from andon.events import HOUR_NS
from andon.rules.dedup import Dedup
from tests.shop_floor import NOW_NS, ShopFloor


async def get(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def post(client: httpx.AsyncClient, path: str, *, status: int = 200, **body: object) -> Any:
    answer = await client.post(f"/api/v1/{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


@pytest.fixture
def machines(floor: ShopFloor) -> tuple[str, str]:
    """Two machines of the plant; each has stopped for a reason of its own."""
    one, other = (asset.id for asset in floor.plant.assets[:2])
    floor.hears(floor.finding(one, "stop", ago_s=900), floor.finding(other, "stop", ago_s=600))
    return one, other


async def test_rules_are_listed_by_version_the_newest_first(
    floor: ShopFloor, client: httpx.AsyncClient, machines: tuple[str, str]
) -> None:
    assert [one["version"] for one in (await get(client, "dedup/rules"))["items"]] == [1]
    floor.plant = floor.plant.model_copy(update={"dedup": Dedup(window_min=30)})
    floor.hears(floor.finding(machines[0], "stop", ago_s=60))
    newest, oldest = (await get(client, "dedup/rules"))["items"]
    assert (newest["version"], newest["rules"]["window_min"]) == (2, 30)
    assert newest["since"] == "2026-03-12T07:20:00.000Z"
    assert (oldest["version"], oldest["since"]) == (1, None)


async def test_what_came_too_late_is_listed(
    floor: ShopFloor, client: httpx.AsyncClient, machines: tuple[str, str]
) -> None:
    assert (await get(client, "dedup/late"))["items"] == []
    buffered = floor.finding(floor.plant.assets[2].id, "stop", ago_s=30 * 3600)
    floor.hears(replace(buffered, origin=replace(buffered.origin, received_ns=NOW_NS)))
    (late,) = (await get(client, "dedup/late"))["items"]
    assert (late["asset"], late["ticket"], late["fold"]["rule"]) == (floor.plant.assets[2].id, None, "late")


async def test_a_dry_run_says_what_changed_rules_would_do_and_does_nothing(
    floor: ShopFloor, client: httpx.AsyncClient, machines: tuple[str, str]
) -> None:
    floor.clock.now_ns = NOW_NS + HOUR_NS
    floor.hears(floor.finding(machines[0], "stop", ago_s=60))
    before = await get(client, "tickets")
    found = await post(client, "dedup/dry-run", rules={"mode": "window_only"}, days=2)
    assert (found["tickets_before"], found["tickets_after"], found["as_stored"]) == (2, 3, True)
    ((first, second),) = found["split"]
    assert first["tickets"] == second["tickets"] == ["A-1"]
    assert first["first_event_at"] == "2026-03-12T07:05:00.000Z"
    assert await get(client, "tickets") == before
    assert len((await get(client, "dedup/rules"))["items"]) == 1


@pytest.mark.parametrize("rules", [{"window_min": 0}, {"keys": [{"fields": ["severity"]}]}, {"windw": 3}])
async def test_rules_that_make_no_sense_are_refused_with_their_place(
    client: httpx.AsyncClient, rules: dict[str, object]
) -> None:
    answer = await client.post("/api/v1/dedup/dry-run", json={"rules": rules})
    assert answer.status_code == 422
    assert next(iter(rules)) in answer.text


async def test_a_merge_is_taken_back_and_what_was_one_ticket_split(
    client: httpx.AsyncClient, machines: tuple[str, str]
) -> None:
    merged = await post(
        client, "tickets/2/duplicate", version=1, master=1, reason="one cause", approver="wu.gang"
    )
    assert merged["duplicate_of"] == 1
    keys = (await get(client, "tickets/1"))["keys"]
    assert len(keys) == 2
    refused = await post(client, "tickets/2/unmerge", status=422, version=merged["version"], reason="two")
    assert refused["missing"] == [{"demand": "evidence", "why": "absent"}]
    back = await post(
        client, "tickets/2/unmerge", version=merged["version"], reason="two causes", evidence="seen on site"
    )
    assert (back["state"], back["duplicate_of"], back["occurrence_count"]) == ("pending_dispatch", None, 1)
    again = await post(
        client, "tickets/2/unmerge", status=409, version=back["version"], reason="r", evidence="e"
    )
    assert again["code"] == "no_edge"
    await post(
        client,
        "tickets/2/duplicate",
        version=back["version"],
        master=1,
        reason="one cause",
        approver="wu.gang",
    )
    version = (await get(client, "tickets/1"))["ticket"]["version"]
    new = await post(client, "tickets/1/split", version=version, key=keys[1]["key"], reason="another cause")
    assert (new["id"], new["asset"]) == (3, machines[0])
    links = (await get(client, "tickets/1"))["links"]
    assert [(link["kind"], link["number"]) for link in links] == [
        ("duplicated_by", "A-2"),
        ("split_into", "A-3"),
    ]


async def test_tickets_are_linked_and_read_from_both_ends(
    client: httpx.AsyncClient, machines: tuple[str, str]
) -> None:
    linked = await post(
        client, "tickets/1/links", status=201, kind="blocks", ticket=2, note="same power supply"
    )
    assert [(one["kind"], one["ticket"], one["note"]) for one in linked["items"]] == [
        ("blocks", 2, "same power supply")
    ]
    (seen,) = (await get(client, "tickets/2/links"))["items"]
    assert (seen["kind"], seen["number"], seen["state"]) == ("blocked_by", "A-1", "pending_dispatch")
    refused = await post(client, "tickets/2/links", status=422, kind="blocks", ticket=1)
    assert refused["missing"] == [{"demand": "other", "why": "blocks_this_one"}]
    assert (await post(client, "tickets/1/links", status=404, kind="blocks", ticket=99))[
        "code"
    ] == "ticket_not_found"
    answer = await client.delete("/api/v1/tickets/1/links/blocks/2")
    assert answer.json() == {"items": []}


async def test_the_page_of_a_ticket_says_what_it_is_linked_to(
    client: httpx.AsyncClient, browser: httpx.AsyncClient, machines: tuple[str, str]
) -> None:
    assert "A-2" not in (await browser.get("/tickets/1")).text
    await client.post(
        "/api/v1/tickets/1/links",
        json={"kind": "related_to", "ticket": 2},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert 'href="/tickets/2">A-2</a>' in (await browser.get("/tickets/1")).text
