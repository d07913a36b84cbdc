"""An OPC UA server between whom and its clients somebody hostile sits: a ByteString becomes a five-byte array bomb.

The value that is sent is honest, and as long as the bomb: `0x80`, an array of nulls, and a length of two thousand
million, for which a decoder makes room (see reliability: it is the shortest known way to fill a machine's memory).
"""

import asyncio
import contextlib
import struct
import threading
from typing import Self

from asyncua import Server, ua

MARK = b"an honest value that somebody changes on its way"
HONEST = b"\x0f" + struct.pack("<i", len(MARK)) + MARK
BOMB = (b"\x80" + struct.pack("<i", 0x7FFF_FFFF) + MARK)[: len(HONEST)]
URI = "urn:test:hostile"


class HostileServer:
    """Serves `nsu=urn:test:hostile;s=value` on `port` in a thread; harmful while `armed`. `met` counts connections."""

    def __init__(self) -> None:
        self.armed = True
        self.met = 0
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="hostile", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = Server()
        server.set_endpoint("opc.tcp://127.0.0.1:0/")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        await server.init()
        index = await server.register_namespace(URI)
        await server.nodes.objects.add_variable(ua.NodeId("value", index), f"{index}:value", MARK)
        async with server:
            assert server.bserver is not None
            self._behind = server.bserver.port
            between = await asyncio.start_server(self._meet, "127.0.0.1", 0)
            self.port = between.sockets[0].getsockname()[1]
            async with between:
                self._ready.set()
                await self._stopping.wait()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                if task.get_name() == "between":
                    task.cancel()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asyncio.current_task().set_name("between")  # type: ignore[union-attr]
        self.met += 1
        with contextlib.suppress(OSError, asyncio.CancelledError):
            behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._behind)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(_pass_on(reader, behind_writer, lambda part: part), name="between")
                    both.create_task(_pass_on(behind_reader, writer, self._change), name="between")
            except* OSError:
                pass
            finally:
                behind_writer.close()
        writer.close()

    def _change(self, part: bytes) -> bytes:
        return part.replace(HONEST, BOMB) if self.armed else part


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, change) -> None:  # type: ignore[no-untyped-def]
    while part := await reader.read(65536):
        writer.write(change(part))
        await writer.drain()
    writer.close()
