"""The simulated plant's OPC UA server, read by a real client: nothing that a real server loses is kept here."""

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua
from asyncua.common.subscription import Subscription

from andon.events import MINUTE_NS, SECOND_NS
from simulators.messages import NAMESPACE, OpcuaEvent, OpcuaValue
from simulators.opcua import STOP_TYPE, PlantServer
from simulators.plant import Simulation

pytestmark = pytest.mark.asyncio(loop_scope="module")
START_NS = 1_790_000_000 * SECOND_NS
NODE = "L2-CWP-01/VEL/velocity_rms"
WAIT_S = 10.0


class Heard:
    """What a subscription was told."""

    def __init__(self) -> None:
        self.values: list[ua.DataValue] = []
        self.events: list[Any] = []
        self._more = asyncio.Event()

    def datachange_notification(self, _node: object, _value: object, data: Any) -> None:
        self.values.append(data.monitored_item.Value)
        self._more.set()

    def event_notification(self, event: Any) -> None:
        self.events.append(event)
        self._more.set()

    async def until(self, count: int, kind: str = "values") -> list[Any]:
        async with asyncio.timeout(WAIT_S):
            while len(getattr(self, kind)) < count:
                self._more.clear()
                await self._more.wait()
        return list(getattr(self, kind))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[PlantServer]:
    async with PlantServer(Simulation(7, START_NS).variables(), 0) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: PlantServer) -> AsyncIterator[Client]:
    async with Client(server.url) as client:
        yield client


def value(number: float, second: int, node: str = NODE) -> OpcuaValue:
    return OpcuaValue(START_NS + second * SECOND_NS, node, number, START_NS + second * SECOND_NS)


def event(minute: int, *, active: bool = True) -> OpcuaEvent:
    at_ns = START_NS + minute * MINUTE_NS
    return OpcuaEvent(
        at_ns=at_ns,
        event_id=minute.to_bytes(16, "big"),
        asset="L2-DCM-01",
        state="Stopped",
        reason_id="JAM_OUTFEED",
        reason_value=2101,
        reason_message="出料口卡料",
        reason_category="mechanical",
        severity=600,
        active=active,
        time_ns=at_ns,
    )


async def node_of(client: Client, name: str) -> Any:
    return client.get_node(ua.NodeId(name, await client.get_namespace_index(NAMESPACE)))


async def listen(client: Client, heard: Heard) -> Subscription:
    """A subscription to the stop events, by what the server announces of their type."""
    subscription = await client.create_subscription(50, heard)
    await subscription.subscribe_events(ua.ObjectIds.Server, await node_of(client, STOP_TYPE))
    return subscription


async def test_each_machine_of_line_2_has_a_variable_per_channel(client: Client) -> None:
    line = await node_of(client, "L2")
    machines = {(await machine.read_browse_name()).Name: machine for machine in await line.get_children()}
    assert len(machines) == 10
    names = {(await v.read_browse_name()).Name for v in await machines["L2-CWP-01"].get_variables()}
    assert names == {"VEL.velocity_rms", "DE.temperature", "M.current", "state"}


async def test_a_variable_has_no_value_before_the_plant_has_spoken(client: Client) -> None:
    unspoken = await (await node_of(client, "L2-SHB-01/M/current")).read_data_value(raise_on_bad_status=False)
    assert unspoken.StatusCode.value == ua.StatusCodes.BadWaitingForInitialData


async def test_a_value_comes_with_the_time_it_was_measured(client: Client, server: PlantServer) -> None:
    await server.write(value(1.25, 90))
    read = await (await node_of(client, NODE)).read_data_value()
    assert read.Value.Value == 1.25
    assert read.SourceTimestamp.replace(tzinfo=UTC) == datetime.fromtimestamp(
        START_NS // SECOND_NS, UTC
    ) + timedelta(seconds=90)


async def test_a_value_that_is_not_a_number_is_passed_on_as_one(client: Client, server: PlantServer) -> None:
    heard = Heard()
    subscription = await client.create_subscription(50, heard)
    await subscription.subscribe_data_change(await node_of(client, "L2-MIX-01/M/current"), queuesize=5)
    await server.write(value(float("nan"), 10, "L2-MIX-01/M/current"))
    assert math.isnan((await heard.until(2))[1].Value.Value)


async def test_an_event_carries_the_reason_of_the_stop(client: Client, server: PlantServer) -> None:
    heard = Heard()
    await listen(client, heard)
    await server.emit(event(1))
    got = (await heard.until(1, "events"))[0]
    assert (got.Asset, got.State, got.Active, got.Severity) == ("L2-DCM-01", "Stopped", True, 600)
    assert (got.ReasonId, got.ReasonValue, got.ReasonCategory) == ("JAM_OUTFEED", 2101, "mechanical")
    assert got.ReasonMessage == got.Message.Text == "出料口卡料"
    assert got.EventId == (1).to_bytes(16, "big")
    assert got.Time.replace(tzinfo=UTC) == datetime.fromtimestamp(START_NS // SECOND_NS + 60, UTC)


async def test_a_refresh_repeats_what_was_missed_with_the_same_ids(
    client: Client, server: PlantServer
) -> None:
    await server.emit(event(5))
    await server.emit(event(8, active=False))
    heard = Heard()
    subscription = await listen(client, heard)
    conditions = client.get_node(ua.ObjectIds.ConditionType)
    await conditions.call_method(
        ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh),
        ua.Variant(subscription.subscription_id, ua.VariantType.UInt32),
    )
    stops = [one for one in await heard.until(2, "events") if hasattr(one, "Asset") and one.Asset]
    assert [int.from_bytes(one.EventId, "big") for one in stops][-2:] == [5, 8]
    assert [one.Active for one in stops][-2:] == [True, False]


async def test_what_is_older_than_half_an_hour_is_not_repeated(client: Client, server: PlantServer) -> None:
    server.retain(event(200))
    server.retain(event(231))
    heard = Heard()
    subscription = await listen(client, heard)
    await client.get_node(ua.ObjectIds.ConditionType).call_method(
        ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh),
        ua.Variant(subscription.subscription_id, ua.VariantType.UInt32),
    )
    stops = [one for one in await heard.until(1, "events") if hasattr(one, "Asset") and one.Asset]
    assert [int.from_bytes(one.EventId, "big") for one in stops] == [231]


async def test_a_refresh_of_an_unknown_subscription_is_refused(client: Client) -> None:
    with pytest.raises(ua.uaerrors.BadSubscriptionIdInvalid):
        await client.get_node(ua.ObjectIds.ConditionType).call_method(
            ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh), ua.Variant(999_999, ua.VariantType.UInt32)
        )


@pytest.mark.parametrize(
    ("queue", "kept", "overflow"),
    [(0, [9.0], [False]), (1, [9.0], [False]), (3, [7.0, 8.0, 9.0], [True, False, False])],
)
async def test_a_queue_keeps_its_newest_values_and_says_that_others_were_lost(
    client: Client, server: PlantServer, queue: int, kept: list[float], overflow: list[bool]
) -> None:
    heard = Heard()
    subscription = await client.create_subscription(300, heard)
    node = await node_of(client, "L2-FAN-02/M/current")
    await server.write(value(-1.0, 0, "L2-FAN-02/M/current"))
    await subscription.subscribe_data_change(node, queuesize=queue)
    await heard.until(1)
    for number in range(10):
        await server.write(value(float(number), number, "L2-FAN-02/M/current"))
    values = (await heard.until(1 + len(kept)))[1:]
    assert [one.Value.Value for one in values] == kept
    assert [one.StatusCode.value & 0x480 == 0x480 for one in values] == overflow
    still = await node.read_data_value()
    assert still.StatusCode.value == 0  # the mark is on the notification, not on the value


async def test_a_message_that_cannot_be_sent_again_is_refused(client: Client) -> None:
    subscription = await client.create_subscription(50, Heard())
    with pytest.raises(ua.uaerrors.BadMessageNotAvailable):
        await subscription.server.republish(subscription.subscription_id, 4711)
    with pytest.raises(ua.uaerrors.BadSubscriptionIdInvalid):
        await subscription.server.republish(999_999, 1)
