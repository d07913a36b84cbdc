"""The console's answers leave at once."""

import asyncio
import socket

from andon.parts.web import bound


async def test_connections_of_the_console_do_not_wait_for_acknowledgements() -> None:
    seen: asyncio.Queue[int] = asyncio.Queue()

    async def hears(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        seen.put_nowait(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with bound("127.0.0.1", 0) as listening:
        server = await asyncio.start_server(hears, sock=listening)
        async with server:
            _, writer = await asyncio.open_connection(*listening.getsockname())
            assert await seen.get() != 0
            writer.close()
            await writer.wait_closed()
