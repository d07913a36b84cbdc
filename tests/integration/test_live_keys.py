"""What a program hears live ends with its key."""

import asyncio
from typing import Any

from andon.access import keys
from andon.access.audit import By
from andon.access.roles import Right
from andon.database import writing
from api.app import create_app
from tests.integration.test_live import Tab
from tests.integration.test_sign_in import floor, key_of
from tests.shop_floor import BASE, ShopFloor

__all__ = ["floor"]


async def test_a_socket_is_closed_with_the_key_that_opened_it(floor: ShopFloor) -> None:
    app = create_app(floor.context)
    bearer: dict[str, Any] = {"Origin": BASE, "authorization": f"Bearer {key_of(floor, Right.READ)}"}
    async with app.router.lifespan_context(app):
        program = Tab(app, bearer)
        await program.until(1)
        with writing(floor.database) as conn:
            keys.revoke(conn, 1, By("root", floor.clock.now_ns))
        async with asyncio.timeout(60):
            while {"type": "websocket.close", "code": 1008, "reason": ""} not in program.said:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await program.close()
