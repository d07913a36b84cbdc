"""A dead letter is opened whole and taken anew from the page and over REST, with a real journal and engine behind."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from decoder_words import T0, telemetry
from small_line import FLOOR, SmallLine
from sqlalchemy import update

from andon.events import SECOND_NS
from tests.shop_floor import BASE, TOKEN, ShopFloor, console
from ticketing import timers
from ticketing.clock_tables import timer
from ticketing.timers import Timer

HTML = {"Accept": "text/html"}
NEW = {**FLOOR["assets"][0], "id": "M9", "name": "M9"}
WITH_M9 = {**FLOOR, "version": 2, "assets": [*FLOOR["assets"], NEW]}


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SmallLine]:
    made = SmallLine(tmp_path / "data", "floor").configured()
    made.receives(
        "floor", telemetry(1.0), telemetry(9.5, asset="M9", id="a"), telemetry(8.5, asset="M9", id="b")
    ).works()
    yield made
    for journal in made.journals.values():
        journal.close()


@pytest.fixture
async def client(line: SmallLine, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    context = ShopFloor(tmp_path, line.database).context
    app = console(replace(context, journals=line.data / "journal", now=line.now))
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        yield client


def taken(line: SmallLine) -> None:
    while line.engine.take_asked():
        pass


async def test_one_is_opened_whole_on_the_page_and_taken_anew_by_its_button(
    line: SmallLine, client: httpx.AsyncClient
) -> None:
    page = (await client.get("/pipeline?reason=unknown_asset", headers=HTML)).text
    assert 'href="/pipeline/letters/floor%3A1"' in page
    whole = (await client.get("/pipeline/letters/floor:1", headers=HTML)).text
    assert "Unknown machine" in whole
    assert "9.5" in whole
    line.configured(WITH_M9)
    answer = await client.post("/pipeline/letters/floor:1/redrive", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/pipeline/letters/floor%3A1")
    assert "One message is being taken anew" in (await client.get("/pipeline", headers=HTML)).text
    taken(line)
    assert [letter.position for letter in line.letters()] == [2]
    after = (await client.get("/pipeline/letters/floor:1", headers=HTML)).text
    assert "Used after all" in after
    assert "/redrive" not in after


async def test_a_program_opens_one_and_has_all_of_a_reason_taken_anew(
    line: SmallLine, client: httpx.AsyncClient
) -> None:
    found = (await client.get("/api/v1/dead-letters?reason=unknown_asset&source=floor")).json()
    assert [one["id"] for one in found["items"]] == ["floor:2", "floor:1"]
    assert (found["counts"], found["asked"]) == ({"unknown_asset": 2}, 0)
    assert (await client.get("/api/v1/dead-letters?reason=schema")).json()["items"] == []
    whole = (await client.get("/api/v1/dead-letters/floor:2")).json()
    assert "8.5" in whole["message"]["text"]
    assert whole["used_at"] is None
    line.configured(WITH_M9)
    one = await client.post("/api/v1/dead-letters/floor:1/redrive")
    assert (one.status_code, one.json()) == (202, {"asked": 1})
    none = await client.post("/api/v1/dead-letters/redrive", json={"reason": "schema"})
    assert none.json() == {"asked": 0}
    assert (await client.get("/api/v1/dead-letters")).json()["asked"] == 1
    every = await client.post("/api/v1/dead-letters/redrive", json={"reason": "unknown_asset"})
    assert every.json() == {"asked": 2}
    taken(line)
    assert line.letters() == []
    assert line.balance("floor")["stored"] == 3
    assert (await client.get("/api/v1/dead-letters/floor:2")).json()["used_at"] is not None
    assert (await client.post("/api/v1/dead-letters/floor:2/redrive")).json() == {"asked": 0}


async def test_the_button_of_a_reason_takes_all_of_it_anew(
    line: SmallLine, client: httpx.AsyncClient
) -> None:
    line.configured(WITH_M9)
    answer = await client.post("/pipeline/letters/redrive", data={"reason": "unknown_asset"}, headers=HTML)
    assert answer.headers["location"] == "/pipeline?reason=unknown_asset#letters"
    taken(line)
    assert line.letters() == []
    wrong = await client.post("/pipeline/letters/redrive", data={"reason": "dislike"}, headers=HTML)
    assert wrong.status_code == 422


@pytest.mark.parametrize("name", ["floor:0", "floor:99", "attic:1", "floor", ":1", "floor:-1", "f%00r:1"])
async def test_what_is_no_dead_letter_is_not_there(client: httpx.AsyncClient, name: str) -> None:
    for asked in (
        client.get(f"/api/v1/dead-letters/{name}"),
        client.post(f"/api/v1/dead-letters/{name}/redrive"),
        client.get(f"/pipeline/letters/{name}", headers=HTML),
    ):
        assert (await asked).status_code == 404


async def test_a_step_that_was_given_up_is_tried_again_from_the_page(
    line: SmallLine, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    tickets = ShopFloor(tmp_path, line.database).tickets
    which = Timer("routing", "ticket/7", T0 + SECOND_NS)
    with tickets.transaction(T0) as book:
        timers.set_timer(book, which)
        book.conn.execute(update(timer).values(state="failed", attempts=8, error="no duty list"))
    page = (await client.get("/pipeline", headers=HTML)).text
    assert "Steps that were due were given up: 1" in page
    assert "no duty list" in page
    fields = {"kind": "routing", "subject": "ticket/7", "step": "0", "cycle": "0"}
    assert (await client.post("/pipeline/timers/again", data=fields, headers=HTML)).status_code == 303
    assert "no duty list" not in (await client.get("/pipeline", headers=HTML)).text
    assert (await client.post("/pipeline/timers/again", data=fields, headers=HTML)).status_code == 404
