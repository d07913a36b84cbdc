"""The API's reference page shows every operation of the description, and fetches nothing from elsewhere."""

import re

import httpx

from tests.shop_floor import ShopFloor, console


async def test_every_operation_is_on_the_page(floor: ShopFloor, browser: httpx.AsyncClient) -> None:
    page = await browser.get("/api")
    assert page.status_code == 200
    document = console(floor.context).openapi()
    names = {one["operationId"] for methods in document["paths"].values() for one in methods.values()}
    assert names == {name for name in names if f'id="{name}"' in page.text}
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.text)
    assert "stale_version" in page.text or "It has changed meanwhile" in page.text
