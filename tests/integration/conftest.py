"""A shop floor and its console: asked by a program with the token, or by a browser that opened the link."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.shop_floor import BASE, TOKEN, ShopFloor, console


@pytest.fixture
def floor(tmp_path: Path) -> ShopFloor:
    return ShopFloor(tmp_path)


@pytest.fixture
async def client(floor: ShopFloor) -> AsyncIterator[httpx.AsyncClient]:
    """A program with the token."""
    transport = httpx.ASGITransport(console(floor.context), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        yield client


@pytest.fixture
async def browser(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A browser that opened the link."""
    del client.headers["Authorization"]
    client.headers["Accept"] = "text/html"
    answer = await client.get(f"/?token={TOKEN}")
    assert answer.status_code == 303
    return client
