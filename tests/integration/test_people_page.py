"""The people page: accounts made, changed and closed by an administrator, each deed on record in their name."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from andon.access import accounts, audit, keys
from andon.access.errors import SignInRefused
from andon.access.roles import Right, Role
from andon.access.tables import deeds
from andon.database import reading
from tests.two_lines import HERE, PLACES, Answer, TwoLines

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[TwoLines]:
    made = TwoLines(tmp_path)
    made.account("sun.hao", Role.ADMINISTRATOR)
    yield made
    made.floor.database.dispose()


async def post(world: TwoLines, path: str, *pairs: tuple[str, str], who: str = "sun.hao") -> Answer:
    return await world.ask(who, "POST", path, urlencode(pairs).encode(), FORM, accept="text/html")


def shown(answer: Answer) -> str:
    """The secret on the page."""
    found = re.search(r'<code class="key-once">([^<]+)</code>', answer.text)
    assert found is not None, answer.text
    return found[1]


async def test_an_account_is_made_its_password_shown_once_and_it_signs_in(world: TwoLines) -> None:
    answer = await post(
        world, "/people", ("name", "li.na"), ("role", "technician"), ("place", PLACES[HERE][0])
    )
    secret, now_ns = shown(answer), world.floor.clock()
    assert answer.headers["cache-control"] == "no-store"
    assert secret not in (await world.ask("sun.hao", "GET", "/people/li.na", accept="text/html")).text
    with reading(world.floor.database) as conn:
        made = accounts.find(conn, "li.na", now_ns)
        line = audit.recent(conn, 1, "li.na")[0]
    assert (made.roles, made.places, made.must_change) == ((Role.TECHNICIAN,), PLACES[HERE], True)
    assert (line["actor"], line["action"], line["channel"]) == ("sun.hao", "account_made", "web")
    assert world.desk.sign_in("li.na", secret, now_ns=now_ns)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ((("name", "sun.hao"), ("role", "viewer")), "an account of that name already"),
        ((("name", "no name"), ("role", "viewer")), "no name: letters"),
        ((("name", "li.na"),), "at least one role"),
    ],
)
async def test_what_cannot_be_made_is_said_and_what_was_written_stays(
    world: TwoLines, pairs: tuple[tuple[str, str], ...], said: str
) -> None:
    answer = await post(world, "/people", *pairs)
    assert answer.status == 422
    assert said in answer.text
    assert f'value="{pairs[0][1]}"' in answer.text


async def test_roles_places_and_doors_are_changed_and_each_change_is_on_record(world: TwoLines) -> None:
    first = shown(await post(world, "/people", ("name", "li.na"), ("role", "viewer")))
    assert (await post(world, "/people/li.na/roles", ("role", "planner"), ("role", "quality"))).status == 303
    assert (await post(world, "/people/li.na/places", ("place", PLACES[HERE][0]))).status == 303
    second = shown(await post(world, "/people/li.na/reset"))
    for door in ("end-sessions", "disable"):
        assert (await post(world, f"/people/li.na/door/{door}")).status == 303
    now_ns = world.floor.clock()
    with reading(world.floor.database) as conn:
        made = accounts.find(conn, "li.na", now_ns)
        said = conn.execute(select(deeds.c.action, deeds.c.actor).where(deeds.c.account == "li.na")).all()
    assert (made.roles, made.places, made.disabled) == ((Role.PLANNER, Role.QUALITY), PLACES[HERE], True)
    assert [row.action for row in said] == [
        *("account_made", "roles_set", "places_set", "password_reset", "sessions_ended", "account_disabled")
    ]
    assert {row.actor for row in said} == {"sun.hao"}
    for secret in (first, second):
        with pytest.raises(SignInRefused):
            world.desk.sign_in("li.na", secret, now_ns=now_ns)


async def test_keys_are_made_for_a_program_and_revoked(world: TwoLines) -> None:
    world.account("mes", Role.LINE_LEADER)
    key = shown(
        await post(world, "/people/mes/keys", ("name", "MES of line 1"), ("right", "read"), ("days", "30"))
    )
    now_ns = world.floor.clock()
    with reading(world.floor.database) as conn:
        holder = keys.find(conn, key, now_ns)
    assert holder is not None
    assert holder.key.rights == (Right.READ,)
    wrong = await post(world, "/people/mes/keys", ("name", "MES"), ("right", "tune"))
    assert (wrong.status, "at least one right that the account has" in wrong.text) == (422, True)
    assert (await post(world, f"/people/mes/keys/{holder.key.id}/revoke")).status == 303
    with reading(world.floor.database) as conn:
        assert keys.find(conn, key, now_ns) is None


async def test_the_last_administrator_stays_and_nobody_else_comes_in(world: TwoLines) -> None:
    world.account("wu.gang", Role.PLANNER)
    world.account("near", Role.ADMINISTRATOR, places=PLACES[HERE])
    assert (await post(world, "/people/near/door/disable")).status == 303
    for path, pairs in (("door/disable", ()), ("roles", (("role", "viewer"),))):
        answer = await post(world, f"/people/sun.hao/{path}", *pairs)
        assert (answer.status, "only administrator" in answer.text) == (422, True)
    refused = await post(world, "/people", ("name", "x"), ("role", "administrator"), who="wu.gang")
    assert (refused.status, "administrator" in refused.text) == (403, True)
    page = await world.ask("wu.gang", "GET", "/", accept="text/html")
    assert 'href="/people"' not in page.text
    assert 'href="/people"' in (await world.ask("sun.hao", "GET", "/", accept="text/html")).text


@pytest.mark.parametrize("path", ["/people", "/people/sun.hao"])
async def test_the_pages_speak_both_languages(world: TwoLines, path: str) -> None:
    for language, said in (("zh", "角色"), ("en", "Roles")):
        answer = await world.ask("sun.hao", "GET", path, accept="text/html", **{"accept-language": language})
        assert answer.status == 200
        assert said in answer.text
