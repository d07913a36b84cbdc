"""The console as it is served: by TLS to others, and closed to who holds connections open."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import uvicorn
from argon2 import PasswordHasher
from websockets.asyncio.client import connect

from andon.access import accounts
from andon.access.audit import By
from andon.access.roles import Role
from andon.access.signing_in import Desk
from andon.config import Web
from andon.database import writing
from andon.parts.web import bound, hosts_of, served
from tests.certificates import Authority
from tests.shop_floor import TOKEN, ShopFloor

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SECRET = "three red pumps"


@dataclass(frozen=True)
class Console:
    """A console that is being served on this machine."""

    port: int
    trust: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self.trust else 'http'}://localhost:{self.port}"


@contextlib.asynccontextmanager
async def serving(floor: ShopFloor, web: Web, trust: ssl.SSLContext | None = None) -> AsyncIterator[Console]:
    server = uvicorn.Server(served(replace(floor.context, names=hosts_of(web)), web))
    with bound("127.0.0.1", 0) as listening:
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            while not server.started:  # noqa: ASYNC110 - uvicorn has nothing to wait for
                await asyncio.sleep(0.01)
            yield Console(listening.getsockname()[1], trust)
        finally:
            server.should_exit = True
            await running


@pytest.fixture
async def encrypted(tmp_path: Path) -> AsyncIterator[Console]:
    """A console with accounts, served by TLS."""
    floor = ShopFloor(tmp_path)
    with writing(floor.database) as conn:
        by = By("init", floor.clock.now_ns)
        accounts.create(
            conn, "root", roles=[Role.PLANNER], password=SECRET, must_change=False, by=by, hasher=QUICK
        )
    floor.context = replace(floor.context, token=None, desk=Desk(floor.database, hasher=QUICK))
    authority = Authority(tmp_path / "pki")
    certificate, key = authority.issue("console")
    web = Web(host="0.0.0.0", names=("localhost",), certificate=certificate, key=key)  # noqa: S104
    async with serving(floor, web, ssl.create_default_context(cafile=str(authority.certificate))) as console:
        yield console


async def test_a_browser_signs_in_by_tls_and_is_held_to_it(encrypted: Console) -> None:
    assert encrypted.trust is not None
    ours = {"Origin": encrypted.url, "Accept": "text/html"}
    async with httpx.AsyncClient(verify=encrypted.trust, base_url=encrypted.url, headers=ours) as browser:
        answer = await browser.post("/sign-in", data={"name": "root", "password": SECRET})
        assert answer.status_code == 303
        assert answer.headers["set-cookie"].startswith(f"__Host-andon_session_{encrypted.port}=")
        assert "strict-transport-security" in answer.headers
        assert "server" not in answer.headers
        assert (await browser.get("/account")).status_code == 200
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    address = f"wss://localhost:{encrypted.port}/live"
    async with connect(
        address, ssl=encrypted.trust, origin=encrypted.url, additional_headers={"Cookie": cookie}
    ) as tab:
        assert "changed" in str(await asyncio.wait_for(tab.recv(), 60))


async def test_nothing_older_than_tls_1_2_is_spoken(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path / "pki").issue("console")
    spoken = served(ShopFloor(tmp_path).context, Web(certificate=certificate, key=key)).ssl
    assert spoken is not None
    assert spoken.minimum_version == ssl.TLSVersion.TLSv1_2


async def test_headers_that_do_not_end_are_not_waited_for_and_a_live_tab_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.patient.HEADERS_S", 0.5)
    async with serving(ShopFloor(tmp_path), Web()) as console:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with connect(f"ws://localhost:{console.port}/live", additional_headers=headers) as tab:
            async with httpx.AsyncClient(base_url=console.url, headers=headers) as program:
                assert (await program.get("/readyz")).status_code == 200
            for begun in (b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "):
                reader, writer = await asyncio.open_connection("127.0.0.1", console.port)
                writer.write(begun)
                assert await asyncio.wait_for(reader.read(), 60) == b""
                writer.close()
            assert "changed" in str(await asyncio.wait_for(tab.recv(), 60))
            assert tab.close_code is None


async def test_headers_are_no_larger_than_32_kib(tmp_path: Path) -> None:
    async with serving(ShopFloor(tmp_path), Web()) as console:
        reader, writer = await asyncio.open_connection("127.0.0.1", console.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: " + b"x" * 40 * 1024)
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 4")
