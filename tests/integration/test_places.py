"""What a body names at a foreign place is not there either, lists are bounded on both databases, and who did what is known."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from andon import schema
from andon.access.roles import Role
from andon.access.tables import accounts
from andon.database import reading
from tests.stores import DATABASES
from tests.two_lines import HERE, PLACES, THERE, WEARING, TwoLines
from ticketing import tables as t

SPAN = {"from": "2026-03-12T01:00:00Z", "to": "2026-03-12T02:00:00Z"}
MACHINE = re.compile(r"detector/[a-z_]+@[\w.]+|rule/[a-z_0-9]+|timer|window/.+|andon init")
"""Who acts where no person does: a detector, a rule, the clock, the plant document, whoever set Andon up."""
WHO = frozenset({"actor", "by", "asked_by", "decided_by", "settled_by", "done_by"})
"""Columns that say who did it."""
LISTS = (
    *(
        "tickets",
        "alarms",
        "alarms/bad-actors",
        "problems",
        "assets",
        "freshness",
        "gaps",
        "labels",
        "detectors",
    ),
    *(
        "suppressions",
        "reports",
        "requisitions",
        "approvals",
        "cost-requests",
        "obligations",
        "dedup/late",
        "drift",
    ),
    *(
        "people/wang.lei/offers",
        "tickets?text=pressure",
        "tickets?text=pressure&state=open",
        "tickets?sort=due",
    ),
)


@pytest.fixture(scope="module", params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoLines]:
    shelf = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    database = shelf.take() if shelf else None
    made = TwoLines(tmp_path_factory.mktemp("places"), database)
    made.account("chief", Role.ADMINISTRATOR, person="sun.hao")
    made.account("near", Role.ADMINISTRATOR, places=PLACES[HERE], person="zhou.ting")
    made.account("keeper", Role.STOREKEEPER)
    made.account("fitter", Role.TECHNICIAN, person="wang.lei")
    made.account("partner", Role.PARTNER, person="zhao.min")
    asyncio.run(made.furnish("chief"))
    yield made
    if shelf is None:
        made.floor.database.dispose()
    else:
        shelf.give_back(made.floor.database)


@pytest.mark.parametrize("path", LISTS)
async def test_a_list_tells_of_what_is_seen_and_of_nothing_else(world: TwoLines, path: str) -> None:
    everything = await world.ask("chief", "GET", f"/api/v1/{path}")
    assert world.tells_of(THERE).search(everything.text), "nothing there that could be left out"
    near = await world.ask("near", "GET", f"/api/v1/{path}")
    assert near.status == 200
    assert world.tells_of(HERE).search(near.text)
    assert not world.tells_of(THERE).search(near.text)
    alone = await world.ask("partner", "GET", f"/api/v1/{path}")
    assert not world.tells_of(HERE).search(alone.text) or alone.code == "no_right"


async def test_a_page_of_one_holds_what_is_seen_however_much_else_there_is(world: TwoLines) -> None:
    first = (await world.ask("near", "GET", "/api/v1/tickets?limit=1&sort=newest")).json()
    second = (
        await world.ask("near", "GET", f"/api/v1/tickets?limit=1&sort=newest&after={first['next']}")
    ).json()
    assert [one["items"][0]["line"] for one in (first, second)] == [HERE, HERE]
    assert first["total"] == sum(first["counts"].values()) == await _tickets_on(world, HERE)


async def _tickets_on(world: TwoLines, line: str) -> int:
    with reading(world.floor.database) as conn:
        return conn.execute(select(func.count()).where(t.ticket.c.line == line)).scalar_one()


def bodies(world: TwoLines) -> dict[str, tuple[str, dict[str, Any]]]:
    """What names a thing of the other line, asked of one's own."""
    far, asset = world.named[THERE], WEARING[THERE]
    give_up = {"reason": "the same cause as that one", "approver": "sun.hao", "version": 1}
    return {
        "merge": ("tickets/{ticket_id}/duplicate", {"master": far["ticket_id"], **give_up}),
        "ask to merge": (
            "tickets/{ticket_id}/approvals",
            {"step": "duplicate", "reason": "the same cause", "master": far["ticket_id"]},
        ),
        "link": ("tickets/{ticket_id}/links", {"kind": "related_to", "ticket": far["ticket_id"]}),
        "mark": ("labels", {"asset": asset, "what": "planned", **SPAN}),
        "try routing": ("routing/test", {"asset": asset}),
    }


@pytest.mark.parametrize("deed", ["merge", "ask to merge", "link", "mark", "try routing"])
async def test_what_a_body_names_elsewhere_is_not_there(world: TwoLines, deed: str) -> None:
    path, body = bodies(world)[deed]
    path = "/api/v1/" + path.format(**world.named[HERE])
    answer = await world.ask("near", "POST", path, body)
    assert (answer.status, world.tells_of(THERE).search(answer.json()["code"])) == (404, None)
    if "ticket_id" in str(bodies(world)[deed][0]):
        nothing = {**body, **{key: 987_654 for key in ("master", "ticket") if key in body}}
        missing = await world.ask("near", "POST", path, nothing)
        numbers = re.compile(r"\d{2,}|\b\d\b")
        assert numbers.sub("n", answer.text) == numbers.sub("n", missing.text)


async def test_a_report_of_a_machine_elsewhere_is_refused_as_of_one_that_there_is_not(
    world: TwoLines,
) -> None:
    told = {"type": "equipment_repair", "description": "hums"}
    for asset in (WEARING[THERE], "L9-NONE-01"):
        answer = await world.ask("near", "POST", "/api/v1/reports", {**told, "asset": asset})
        assert answer.status == 422
        assert [one["field"] for one in answer.json()["missing"]] == ["asset"]


@pytest.mark.parametrize(
    "matcher", [{"asset": WEARING[THERE]}, {"under": "lakeside/wuxi"}, {"families": ["stop"]}]
)
async def test_nobody_silences_alarms_beyond_their_places(world: TwoLines, matcher: dict[str, Any]) -> None:
    body = {"matcher": matcher, "reason": "works on the line", "for_s": 600}
    answer = await world.ask("near", "POST", "/api/v1/suppressions", body)
    assert (answer.status, answer.code) == (403, "only_whole_plant")
    mine = await world.ask(
        "near", "POST", "/api/v1/suppressions", {**body, "matcher": {"under": PLACES[HERE][0]}}
    )
    assert mine.status == 201


async def test_a_linked_ticket_elsewhere_is_not_shown(world: TwoLines) -> None:
    here, far = world.named[HERE]["ticket_id"], world.named[THERE]["ticket_id"]
    body = {"kind": "related_to", "ticket": far}
    assert (await world.ask("chief", "POST", f"/api/v1/tickets/{here}/links", body)).status == 201
    for path in (f"/api/v1/tickets/{here}/links", f"/tickets/{here}"):
        assert re.search(rf'"ticket":{far}|/tickets/{far}\b', (await world.ask("chief", "GET", path)).text)
        assert not re.search(rf'"ticket":{far}|/tickets/{far}\b', (await world.ask("near", "GET", path)).text)


async def test_the_count_beside_the_inbox_is_of_what_is_seen(world: TwoLines) -> None:
    counted = []
    for who in ("chief", "near"):
        page = (await world.ask(who, "GET", "/alarms")).text
        found = re.search(r'id="waiting"[^>]*>(\d+)<', page)
        assert found is not None
        counted.append(int(found[1]))
    with reading(world.floor.database) as conn:
        c = t.ticket.c
        waiting = select(func.count()).where(c.state == "pending_dispatch")
        there = conn.execute(waiting.where(c.line == THERE)).scalar_one()
    assert there > 0
    assert counted[0] - counted[1] == there


async def test_only_who_plans_says_where_others_are(world: TwoLines) -> None:
    for person, status in (("wang.lei", 200), ("li.na", 403)):
        answer = await world.ask("fitter", "PUT", f"/api/v1/people/{person}/presence", {"online": True})
        assert answer.status == status
    assert (await world.ask("chief", "PUT", "/api/v1/people/li.na/presence", {"online": True})).status == 200


async def test_the_refusal_names_the_right_and_who_has_it_to_programs_and_people(world: TwoLines) -> None:
    number = world.named[HERE]["ticket_id"]
    answer = await world.ask("keeper", "POST", f"/api/v1/tickets/{number}/assign", {})
    assert (answer.status, answer.json()["right"]) == (403, "plan")
    assert answer.json()["roles"] == ["planner", "administrator"]
    page = await world.ask(
        "keeper",
        "POST",
        f"/tickets/{number}/assign",
        b"x=1",
        "application/x-www-form-urlencoded",
        accept="text/html",
        **{"accept-language": "zh"},
    )
    assert page.status == 403
    assert "计划员" in page.text


async def test_every_line_of_every_record_says_who_did_it(world: TwoLines) -> None:
    number = world.named[HERE]["ticket_id"]
    assert (
        await world.ask("near", "POST", f"/api/v1/tickets/{number}/comments", {"text": "looked at it"})
    ).status == 201
    alarm = world.named[HERE]["alarm_id"]
    assert (await world.ask("near", "POST", f"/api/v1/alarms/{alarm}/acknowledge", {})).status == 200
    nobody: dict[str, set[str]] = {}
    looked_at = set[str]()
    with reading(world.floor.database) as conn:
        known = {person.id for person in world.floor.plant.people}
        known |= set(conn.execute(select(accounts.c.id)).scalars()) | set(
            conn.execute(select(accounts.c.person)).scalars()
        )
        for table in (table for metadata in schema.METADATA for table in metadata.sorted_tables):
            for column in (one for one in table.columns if one.name in WHO):
                who = {
                    str(one) for one in conn.execute(select(column).distinct()).scalars() if one is not None
                }
                looked_at |= {table.name} if who else set()
                strangers = {one for one in who - known if not MACHINE.fullmatch(one)}
                nobody |= {f"{table.name}.{column.name}": strangers} if strangers else {}
    assert nobody == {}
    told = {"ticket_event", "alarm_event", "suppression_event", "problem_event", "access_event", "report"}
    assert told <= looked_at
