"""What a page weighs and how tabs are kept live: bounds that a busy shop floor would otherwise outgrow."""

import asyncio
import json
import re
import threading
from contextlib import AsyncExitStack
from dataclasses import replace

import httpx
import uvicorn
import websockets

from andon.benches import ticket as bench
from andon.benches.api import BOARD_BYTES, TABS
from andon.database import writing
from andon.events import SECOND_NS
from api.live import Watch
from tests.shop_floor import TOKEN, ShopFloor, console
from ticketing.tables import ticket
from ticketing.ticket import TicketState

BOARD = 500


async def test_a_board_of_500_tickets_is_60_kb_at_most(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    machines = [one.id for one in floor.plant.assets]
    for first in range(0, BOARD, 100):
        stops = [bench.stop(n, floor.clock() - n * SECOND_NS) for n in range(first, first + 100)]
        floor.hears(*(replace(one, asset=machines[n % len(machines)]) for n, one in enumerate(stops)))
    total = (await client.get("/api/v1/tickets?limit=1")).json()["total"]
    with writing(floor.database) as conn:
        for place, state in enumerate(TicketState):
            mine = ticket.c.id % len(TicketState) == place
            conn.execute(
                ticket.update().where(mine).values(state=str(state), assignee="li.na", backup="wu.gang")
            )
    for language in ("en", "zh"):
        page = await client.get("/board", headers={"Accept": "text/html", "Accept-Language": language})
        assert total >= BOARD
        assert len(re.findall(r"id=k\d+", page.text)) >= 5 * 30
        assert len(page.content) <= BOARD_BYTES


async def test_twenty_tabs_hear_of_one_change_by_one_look(floor: ShopFloor) -> None:
    """All tabs are told by the same look at the store: what they cost does not grow with them."""
    allowed = threading.Semaphore(0)

    class OneByOne(Watch):
        def _read(self) -> int:
            allowed.acquire()
            return super()._read()

    application = console(floor.context)
    application.state.watch = watch = OneByOne(floor.database, every_s=0.01)
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
        await asyncio.sleep(0.01)
    where = f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/live"
    key = {"Authorization": f"Bearer {TOKEN}"}
    async with watch.running(), AsyncExitStack() as opened:
        tabs = [
            await opened.enter_async_context(websockets.connect(where, additional_headers=key))
            for _ in range(TABS)
        ]
        allowed.release()
        assert len({await tab.recv() for tab in tabs}) == 1
        floor.hears(floor.finding("L1-SPN-01", "stop"))
        allowed.release()  # one look, and no more
        heard = {json.loads(await tab.recv())["changed"] for tab in tabs}
        allowed.release(1_000_000)  # so that it can end
    server.should_exit = True
    await serving
    assert len(heard) == 1
