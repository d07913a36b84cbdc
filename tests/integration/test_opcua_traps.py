"""The traps of asyncua (A1-A17), each as the naive way falls into it and as the collector does not.

A13, certificates, has its own file. The naive way is asyncua's own API as its documentation shows it.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from asyncua import Client, Server, ua
from asyncua.client.ua_client import UaClientState
from asyncua.common.utils import Buffer

from andon.events import Waveform
from andon.ports import Record
from ingest.opcua import Parameters
from simulators.messages import waveform_block
from tests.opcua_line import Line, Proxy, Run, wanted

pytestmark = pytest.mark.asyncio(loop_scope="module")
WAIT_S = 10.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line() -> AsyncIterator[Line]:
    async with Line() as line:
        yield line


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def after() -> AsyncIterator[Line]:
    """The same server after a restart: its namespaces have other indices."""
    async with Line(first_namespaces=["urn:other"]) as after:
        yield after


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plain() -> AsyncIterator[Server]:
    """asyncua's server as it comes."""
    server = Server()
    server.set_endpoint("opc.tcp://127.0.0.1:0/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    await server.init()
    async with server:
        yield server


class Heard:
    """A handler as the documentation shows it."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def datachange_notification(self, _node: object, value: float, _data: object) -> None:
        self.values.append(value)


async def until(holds: Any, within_s: float = WAIT_S) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - what is waited for is another's state
            await asyncio.sleep(0.01)


def node(client: Client, line: Line, name: str) -> Any:
    return client.get_node(ua.NodeId(name, line.index))


def newest(line: Line) -> Any:
    """The subscription that was made last."""
    return list(line.inside.subscription_service.subscriptions.values())[-1]


def items_of(line: Line) -> int:
    subscriptions = line.inside.subscription_service.subscriptions.values()
    return sum(len(each.monitored_item_srv._monitored_items) for each in subscriptions)


async def test_a1_a_link_that_drops_while_it_is_restored_loses_no_items(line: Line, tmp_path: Path) -> None:
    await line.add("a1", 1.0)
    async with Client(line.url) as client:
        subscription = await client.create_subscription(20, Heard())
        await subscription.subscribe_data_change(node(client, line, "a1"))
        create = client.uaclient.session.create_subscription
        client.uaclient.session.create_subscription = _broken  # the link drops here
        with contextlib.suppress(ConnectionError):
            await subscription.recreate()
        client.uaclient.session.create_subscription = create
        await subscription.recreate()  # "Reconnected successfully"
        assert items_of(line) == 0
    async with Proxy(line.url) as proxy, Run(tmp_path, wanted(proxy.url, {"a1": "DE/temperature"})) as run:
        await run.until(lambda: run.values() == [1.0])
        service = line.inside.subscription_service
        create = service.create_subscription

        async def drop(*arguments: Any, **more: Any) -> Any:
            service.create_subscription = create
            proxy.break_off()
            return await create(*arguments, **more)

        service.create_subscription = drop
        proxy.break_off()
        await run.until(lambda: run.status["connections"] == 2)
        await line.write("a1", 2.0)
        await run.until(lambda: run.values() == [1.0, 2.0])


async def _broken(*_: object, **__: object) -> Any:
    raise ConnectionError("the link is down")


async def test_a2_a_node_that_comes_late_after_a_restart_is_found_again(
    line: Line, after: Line, tmp_path: Path
) -> None:
    await line.add("a2", 1.0)
    async with Proxy(line.url) as proxy:
        async with Client(after.url) as client:
            subscription = await client.create_subscription(20, Heard())
            with pytest.raises(
                ua.uaerrors.BadNodeIdUnknown
            ):  # a warning in its restore, and the item is gone
                await subscription.subscribe_data_change(node(client, after, "a2"))
        async with Run(tmp_path, wanted(proxy.url, {"a2": "DE/temperature"})) as run:
            await run.until(lambda: run.values() == [1.0])
            proxy.break_off(after.url)
            await run.until(lambda: run.bad() == {"DE/temperature": "BadNodeIdUnknown"})
            standing = ["connection", "item_missing"]
            await run.until(lambda: [g.cause for g in run.gaps if g.to_ns is None] == standing)
            await after.add("a2", 2.0)
            await run.until(lambda: run.values() == [1.0, 2.0])
            await run.until(lambda: [g.cause for g in run.gaps if g.to_ns is not None][-1] == "item_missing")


async def test_a3_a_message_that_cannot_be_sent_again_is_refused_and_nobody_spins(
    line: Line, plain: Server
) -> None:
    async with Client(_url(plain)) as client:
        subscription = await client.create_subscription(50, Heard())
        answer = await subscription.server.republish(subscription.subscription_id, 4711)
        assert not answer.NotificationData  # Good, and nothing: asyncua's client goes on asking for ever
    async with Client(line.url) as client:
        subscription = await client.create_subscription(50, Heard())
        with pytest.raises(ua.uaerrors.BadMessageNotAvailable):
            await subscription.server.republish(subscription.subscription_id, 4711)


async def test_a4_a_dead_subscription_is_noticed_in_seconds_not_in_minutes(
    line: Line, tmp_path: Path
) -> None:
    async with Client(line.url) as client:
        subscription = await client.create_subscription(250, Heard())
        asked = subscription.parameters
        stale_s = 1.5 * asked.RequestedPublishingInterval / 1000 * asked.RequestedMaxKeepAliveCount
        assert stale_s > 600
    await line.add("a4", 1.0)
    settings = wanted(line.url, {"a4": "DE/temperature"})
    assert Parameters(url=line.url, security="none", allow_insecure=True).keepalive_s * 2.5 <= 30
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [1.0])
        subscription = newest(line)
        assert subscription.data.RevisedLifetimeCount >= 3 * subscription.data.RevisedMaxKeepAliveCount
        await subscription.stop()  # it sends nothing any more, and the session lives
        await run.until(lambda: run.status["connections"] == 2, 5)


async def test_a5_a_server_that_answers_slowly_is_not_left(line: Line, tmp_path: Path) -> None:
    await line.add("a5", 1.0)
    async with Proxy(line.url) as proxy:
        client = Client(
            proxy.url, watchdog_intervall=0.1
        )  # 1.0 s by default: the same at a tenth of the time
        await client.connect()
        proxy.delay_s = 0.15
        await until(lambda: client.state is not UaClientState.CONNECTED)
        with contextlib.suppress(Exception):
            await client.disconnect()
        proxy.delay_s = 0.0
        settings = wanted(proxy.url, {"a5": "DE/temperature"}, keepalive_s=1)
        async with Run(tmp_path, settings) as run:
            await run.until(lambda: run.values() == [1.0])
            proxy.delay_s = 0.15
            for value in (2.0, 3.0, 4.0):
                await line.write("a5", value)
                await run.until(lambda value=value: value in run.values())
            assert run.status["connections"] == 1


async def test_a6_what_was_acknowledged_and_not_yet_on_disk_comes_from_history(
    line: Line, tmp_path: Path
) -> None:
    """asyncua acknowledges with its next request, whatever has become of the message: a crash loses it."""
    await line.add("a6", 0.0, history=100)
    settings = wanted(line.url, {"a6": "DE/temperature"})
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [0.0])
        journal, kept = run.journal, run.journal.append
        journal.append = lambda _records: journal.end()  # the crash: taken, acknowledged, never written
        for value in (1.0, 2.0, 3.0):
            await line.write("a6", value)
        await run.until(lambda: run.status["received"] == 4)
        subscription = newest(line)
        await until(lambda: not subscription._not_acknowledged_results)
    journal.append = kept
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: sorted(run.values()) == [0.0, 1.0, 2.0, 3.0])


async def test_a7_what_nobody_takes_in_time_is_counted_and_a_gap(line: Line, tmp_path: Path) -> None:
    await line.add("a7", 0.0)
    async with Client(line.url) as client:
        subscription = await client.create_subscription(20, queue_maxsize=10)
        await subscription.subscribe_data_change(node(client, line, "a7"), queuesize=1000)
        for value in range(1, 101):
            await line.write("a7", float(value))
        assert subscription._event_queue is not None
        await until(subscription._event_queue.full)
        assert not hasattr(subscription, "dropped")  # 90 are gone, and nothing says so
    settings = wanted(line.url, {"a7": "DE/temperature"}, queue=20, sampling_ms=0.1, backfill_values_s=0)
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [100.0])
        for value in range(101, 301):
            await line.write("a7", float(value))
        await run.until(lambda: any(gap.cause == "overflow" for gap in run.gaps))
        counts = run.decoded.counts
        assert counts["received"] == counts["stored"] + counts["duplicates"] + counts["overflow"]
        assert counts["overflow"] > 0


async def test_a8_a_queue_of_none_holds_one_value_and_what_it_lost_is_said(
    line: Line, plain: Server, tmp_path: Path
) -> None:
    await line.add("a8", 0.0)
    every = await plain.nodes.objects.add_variable(ua.NodeId("a8", 1), "1:a8", 0.0)
    kept: dict[str, list[float]] = {}
    for name, url, target in (("plain", _url(plain), every), ("strict", line.url, line.nodes["a8"])):
        async with Client(url) as client:
            heard = Heard()
            subscription = await client.create_subscription(200, heard)
            await subscription.subscribe_data_change(client.get_node(target.nodeid))
            await until(lambda heard=heard: heard.values == [0.0])
            for value in range(1, 21):
                await target.write_value(float(value))
            await until(lambda heard=heard: heard.values[-1:] == [20.0])
            kept[name] = heard.values
            await target.write_value(0.0)
    assert len(kept["plain"]) == 21  # a test against it finds nothing to lose
    assert kept["strict"] == [0.0, 20.0]
    settings = wanted(line.url, {"a8": "DE/temperature"}, publishing_ms=200, sampling_ms=200)
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [0.0])
        for value in range(1, 21):
            await line.write("a8", float(value))
        await run.until(lambda: run.values()[-1:] == [20.0])
        assert [gap.cause for gap in run.gaps] == ["server_queue_overflow"]
        await run.until(lambda: [item["overflows"] for item in run.status["worst_items"]] == [1])


async def test_a9_sampling_and_queue_are_what_was_asked_for(line: Line, tmp_path: Path) -> None:
    await line.add("a9", 1.0)
    asked: list[ua.MonitoringParameters] = []
    service = line.inside.subscription_service
    create = service.create_monitored_items

    async def note(params: ua.CreateMonitoredItemsParameters) -> Any:
        asked.extend(item.RequestedParameters for item in params.ItemsToCreate)
        return await create(params)

    service.create_monitored_items = note
    try:
        async with Client(line.url) as client:
            subscription = await client.create_subscription(1000, Heard())
            await subscription.subscribe_data_change(node(client, line, "a9"))
            await subscription.deadband_monitor(node(client, line, "a9"), 0.5)
        assert [(each.SamplingInterval, each.QueueSize) for each in asked] == [(50.0, 0), (0.0, 0)]
        asked.clear()
        settings = wanted(
            line.url, {"a9": "DE/temperature"}, publishing_ms=1000, sampling_ms=None, a9={"deadband": 0.5}
        )
        async with Run(tmp_path / "derived", settings) as run:
            await run.until(lambda: run.standing("good") == 1)
        own = wanted(line.url, {"a9": "DE/temperature"}, publishing_ms=1000, a9={"sampling_ms": 20})
        async with Run(tmp_path / "own", own) as run:
            await run.until(lambda: run.standing("good") == 1)
    finally:
        service.create_monitored_items = create
    assert [(each.SamplingInterval, each.QueueSize) for each in asked] == [(500.0, 10), (20.0, 100)]
    assert (asked[0].Filter.DeadbandType, asked[0].Filter.DeadbandValue) == (ua.DeadbandType.Absolute, 0.5)


async def test_a10_an_item_that_is_refused_among_others_is_named(line: Line, tmp_path: Path) -> None:
    await line.add("a10", 1.0)
    async with Client(line.url) as client:
        subscription = await client.create_subscription(50, Heard())
        nodes = [node(client, line, "a10"), node(client, line, "nowhere")]
        results = await subscription.subscribe_data_change(nodes)  # no exception: who does not look is deaf
        assert isinstance(results[1], ua.StatusCode)
    settings = wanted(line.url, {"a10": "DE/temperature", "nowhere": "DE/other"})
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.bad() == {"DE/other": "BadNodeIdUnknown"} and run.values() == [1.0])
        await run.until(lambda: run.standing("failed") == run.standing("good") == 1)


async def test_a11_a_server_that_is_down_at_the_start_is_waited_for(line: Line, tmp_path: Path) -> None:
    await line.add("a11", 1.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"opc.tcp://127.0.0.1:{port}/"
    with pytest.raises(OSError, match="Connect call failed"):
        await Client(url, auto_reconnect=True).connect()
    async with Run(tmp_path, wanted(url, {"a11": "DE/temperature"})) as run:
        await run.until(lambda: "Refused" in run.status.get("reason", ""))
        async with Proxy(line.url, port):
            await run.until(lambda: run.values() == [1.0])


async def test_a12_a_node_is_the_same_after_its_namespace_has_another_index(
    line: Line, after: Line, tmp_path: Path
) -> None:
    await line.add("a12", 1.0)
    async with Proxy(line.url) as proxy:
        await after.add("a12", 2.0)
        await after.server.nodes.objects.add_variable(ua.NodeId("a12", line.index), "2:a12", -99.0)
        async with Client(after.url) as client:
            assert await node(client, line, "a12").read_value() == -99.0  # another variable, without a word
        async with Run(tmp_path, wanted(proxy.url, {"a12": "DE/temperature"})) as run:
            await run.until(lambda: run.values() == [1.0])
            proxy.break_off(after.url)
            await run.until(lambda: run.values() == [1.0, 2.0])


# A14, ConditionRefresh and static select clauses: test_opcua_alarms.py


async def test_a15_a_waveform_comes_as_bytes_and_a_list_of_samples_is_refused_by_name(
    line: Line, tmp_path: Path
) -> None:
    samples = np.arange(25_600, dtype=np.int16)
    block = waveform_block(samples, at_ns=10**18, rate_hz=25_600, scale=0.001, boot=bytes(16), block_seq=1)
    await line.add("bytes", block)
    await line.add("list", [1.0] * 1000)
    async with Run(tmp_path, wanted(line.url, {"bytes": "DE", "list": "DE/samples"})) as run:
        await run.until(lambda: any(isinstance(event, Waveform) for event in run.events))
        (wave,) = [event for event in run.events if isinstance(event, Waveform)]
        assert (wave.point, wave.rate_hz, wave.samples.shape) == ("DE", 25_600, (25_600, 1))
        await run.until(lambda: run.bad() == {"DE/samples": "BadTypeMismatch"})
    naive_s = min(_cost_s(ua.Variant(list(map(float, samples)), ua.VariantType.Double)) for _ in range(3))
    ours_s = min(_cost_s(ua.Variant(block, ua.VariantType.ByteString)) for _ in range(3))
    assert ours_s < naive_s / 5


def _cost_s(value: ua.Variant) -> float:
    """CPU time to decode one notification with this value."""
    encoded = ua.ua_binary.variant_to_binary(value)
    began_s = time.process_time()
    for _ in range(5):
        ua.ua_binary.variant_from_binary(Buffer(encoded))
    return time.process_time() - began_s


async def test_a16_the_library_does_not_format_each_message_for_its_log(line: Line, tmp_path: Path) -> None:
    await line.add("a16", 1.0)
    library = logging.getLogger("asyncua")
    library.setLevel(logging.NOTSET)
    async with Run(tmp_path, wanted(line.url, {"a16": "DE/temperature"})) as run:
        await run.until(lambda: run.values() == [1.0])
        assert not logging.getLogger("asyncua.client.ua_client").isEnabledFor(logging.INFO)


async def test_a17_a_disk_that_is_slow_does_not_starve_the_connection(line: Line, tmp_path: Path) -> None:
    await line.add("a17", 0.0)
    settings = wanted(line.url, {"a17": "DE/temperature"}, keepalive_s=0.1, timeout_s=0.5)
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [0.0])
        journal, append = run.journal, run.journal.append

        def slow(records: list[Record]) -> int:
            time.sleep(0.8)  # longer than the server may be silent: a callback that waited here would lose it
            return append(records)

        journal.append = slow
        for value in range(1, 11):
            await line.write("a17", float(value))
            await asyncio.sleep(0.02)
        await run.until(lambda: run.values() == [float(value) for value in range(11)])
        journal.append = append
        assert run.status["connections"] == 1


async def test_a17_many_connections_leave_no_session_behind(line: Line, tmp_path: Path) -> None:
    await line.add("sessions", 1.0)
    subscriptions = line.inside.subscription_service.subscriptions
    before = set(subscriptions)
    abandoned = Client(line.url)
    await abandoned.connect()
    await abandoned.create_subscription(1000, Heard())
    abandoned.disconnect_socket()  # a controller that has five is shut after five of these
    (left,) = set(subscriptions) - before
    for number in range(3):
        async with Run(tmp_path / str(number), wanted(line.url, {"sessions": "DE/temperature"})) as run:
            await run.until(lambda run=run: run.values() == [1.0])
    assert set(subscriptions) - before == {left}
    with contextlib.suppress(Exception):
        await abandoned.disconnect()


def _url(server: Server) -> str:
    assert server.bserver is not None
    return f"opc.tcp://127.0.0.1:{server.bserver.port}/"
