"""Open tabs are told when something changed."""

import asyncio
import json
from typing import Any

from andon.events import Action
from api.app import create_app
from api.auth import cookie_name
from tests.shop_floor import BASE, TOKEN, ShopFloor


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
