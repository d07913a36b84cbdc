"""Alarms, PackML structures, stop events and MES messages say the same of a machine: one stop, once, until it is over."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Mapping
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua

from andon.events import Json, StopAlarm, nanoseconds
from andon.ports import Record, RecordKind
from ingest.decode import MessageDecoder
from ingest.packml import ALARM_ENCODING, PACKML_URI
from tests.opcua_line import PLANT, URI, Line, Proxy, Run, wanted

pytestmark = pytest.mark.asyncio(loop_scope="module")
MACHINE = "L2-DCM-01"
BEGAN = datetime(2025, 3, 12, 7, 0, 0, 123000, tzinfo=UTC)
ENDED = datetime(2025, 3, 12, 7, 5, tzinfo=UTC)
TICKS_1601 = 116_444_736_000_000_000


class Alarms:
    """Alarms of one machine on a server, raised and cleared as a controller does."""

    def __init__(self, line: Line, template: Any) -> None:
        self.line = line
        self._template = template
        self.raised = 0

    async def say(
        self, name: str, *, active: bool, at: datetime = BEGAN, told: bool = True, **more: Any
    ) -> None:
        """A new state of an alarm, with an EventId of its own; not `told`, it happens while nobody listens."""
        self.raised += 1
        event = copy(self._template)
        event.EventId = self.raised.to_bytes(16, "big")
        event.Time = event.ReceiveTime = at
        event.NodeId = ua.NodeId(f"{MACHINE}.{name}", self.line.index)
        event.ConditionName, event.SourceName = name, MACHINE
        event.Message, event.Severity = ua.LocalizedText("出料口卡料"), 500
        event.Retain = active
        setattr(event, "EnabledState/Id", True)
        setattr(event, "ActiveState/Id", active)
        for field, value in more.items():
            setattr(event, field, value)
        service = self.line.inside.subscription_service
        if told:
            await service.trigger_event(event)
        elif active:
            service._conditions[event.NodeId] = event
        else:
            service._conditions.pop(event.NodeId, None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line() -> AsyncIterator[Line]:
    async with Line(first_namespaces=[PACKML_URI]) as line:
        yield line


@pytest_asyncio.fixture(loop_scope="module")
async def alarms(line: Line) -> AsyncIterator[Alarms]:
    """The machine's alarms, of a type with three properties of the maker's."""
    kind = ua.NodeId("MachineAlarmType", line.index)
    types = line.server.get_node(ua.ObjectIds.AlarmConditionType)
    if kind not in line.inside.aspace:
        made = await types.add_object_type(kind, f"{line.index}:MachineAlarmType")
        for name, default in (("State", "Stopped"), ("ReasonValue", 2101), ("ReasonCategory", "3")):
            await made.add_property(ua.NodeId(f"Alarm.{name}", line.index), f"{line.index}:{name}", default)
    template = (await line.server.get_event_generator(kind)).event
    yield Alarms(line, template)
    line.inside.subscription_service._conditions.clear()


def listening(url: str, **events: Json) -> Any:
    return wanted(url, {}, events={"namespace": URI} | events)


def active(run: Run) -> list[tuple[str, bool]]:
    return [(alarm.reason_id, alarm.active) for alarm in run.alarms]


async def subscribed(run: Run) -> None:
    await run.until(lambda: run.status.get("events") == "subscribed" and run.status["refresh"] == "Good")


async def test_a14_an_alarm_that_stood_before_is_heard_and_after_an_outage_it_is_no_second_one(
    line: Line, alarms: Alarms, tmp_path: Path
) -> None:
    await alarms.say("JAM", active=True)
    async with Client(line.url) as client:  # the naive way subscribes, and hears of what begins from now on
        naive: list[Any] = []
        subscription = await client.create_subscription(20, Naive(naive))
        await subscription.subscribe_events(ua.ObjectIds.Server, ua.ObjectIds.AlarmConditionType)
        await alarms.say("DOOR", active=True)
        async with asyncio.timeout(10):
            while not naive:  # noqa: ASYNC110 - what is waited for is another's state
                await asyncio.sleep(0.01)
        assert [event.ConditionName for event in naive] == ["DOOR"]
    async with Proxy(line.url) as proxy, Run(tmp_path, listening(proxy.url)) as run:
        await run.until(lambda: active(run) == [("JAM", True), ("DOOR", True)])
        proxy.break_off()
        await run.until(lambda: run.status["connections"] == 2)
        await run.until(lambda: sum(r.kind is RecordKind.MESSAGE for r in run.records) == 4)
        assert active(run) == [("JAM", True), ("DOOR", True)]
        assert run.decoded.counts["duplicates"] == 2


class Naive:
    """A handler as the documentation shows it."""

    def __init__(self, heard: list[Any]) -> None:
        self._heard = heard

    def event_notification(self, event: Any) -> None:
        self._heard.append(event)


async def test_an_alarm_that_ended_during_the_outage_is_cleared(
    line: Line, alarms: Alarms, tmp_path: Path
) -> None:
    async with Proxy(line.url) as proxy, Run(tmp_path, listening(proxy.url)) as run:
        await subscribed(run)
        await alarms.say("JAM", active=True)
        await alarms.say("DOOR", active=True)
        await run.until(lambda: len(run.alarms) == 2)
        proxy.passing.clear()
        proxy.break_off()
        await run.until(lambda: not run.status["connected"])
        await alarms.say("JAM", active=False, told=False)
        proxy.passing.set()
        await run.until(lambda: active(run) == [("JAM", True), ("DOOR", True), ("JAM", False)])
        cleared = run.alarms[-1]
        assert cleared.at_ns == cleared.origin.received_ns  # nobody knows when


async def test_an_alarm_that_ended_while_the_collector_was_away_is_cleared(
    line: Line, alarms: Alarms, tmp_path: Path
) -> None:
    async with Run(tmp_path, listening(line.url)) as run:
        await subscribed(run)
        await alarms.say("JAM", active=True)
        await run.until(lambda: active(run) == [("JAM", True)])
    await alarms.say("JAM", active=False, told=False)
    async with Run(tmp_path, listening(line.url)) as run:
        await run.until(lambda: active(run) == [("JAM", True), ("JAM", False)])
    async with Run(tmp_path, listening(line.url)) as run:  # once
        await subscribed(run)
        assert len(run.alarms) == 2


async def test_a_server_that_asks_for_a_refresh_gets_one(line: Line, alarms: Alarms, tmp_path: Path) -> None:
    async with Run(tmp_path, listening(line.url)) as run:
        await subscribed(run)
        await alarms.say("JAM", active=True, told=False)
        required = await line.server.get_event_generator(ua.ObjectIds.RefreshRequiredEventType)
        await required.trigger(message="conditions have been loaded")
        await run.until(lambda: active(run) == [("JAM", True)])


async def test_events_that_found_no_room_are_a_gap_and_the_alarms_are_asked_for(
    line: Line, alarms: Alarms, tmp_path: Path
) -> None:
    async with Run(tmp_path, listening(line.url)) as run:
        await subscribed(run)
        await alarms.say("JAM", active=True, told=False)
        overflow = await line.server.get_event_generator(ua.ObjectIds.EventQueueOverflowEventType)
        await overflow.trigger()
        await run.until(lambda: active(run) == [("JAM", True)])
        assert [gap.cause for gap in run.gaps] == ["event_queue_overflow"]


async def test_alarms_are_heard_from_the_node_that_reports_them(
    line: Line, alarms: Alarms, tmp_path: Path
) -> None:
    area = await line.server.nodes.objects.add_object(ua.NodeId("Area", line.index), f"{line.index}:Area")
    await area.set_event_notifier([ua.EventNotifier.SubscribeToEvents])
    settings = listening(line.url, notifiers=["i=2253", f"nsu={URI};s=Area"])
    async with Run(tmp_path, settings) as run:
        await subscribed(run)
        await alarms.say("JAM", active=True, emitting_node=area.nodeid)
        await run.until(lambda: active(run) == [("JAM", True)])


async def test_a_server_that_refuses_the_fields_of_alarms_is_asked_for_fewer(
    line: Line, alarms: Alarms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = line.inside.subscription_service
    create = service.create_monitored_items

    async def picky(params: ua.CreateMonitoredItemsParameters) -> list[ua.MonitoredItemCreateResult]:
        chosen = params.ItemsToCreate[0].RequestedParameters.Filter
        if len(chosen.SelectClauses) > 14 or chosen.WhereClause.Elements:
            return [
                ua.MonitoredItemCreateResult(StatusCode=ua.StatusCode(ua.StatusCodes.BadEventFilterInvalid))
            ]
        return await create(params)

    monkeypatch.setattr(service, "create_monitored_items", picky)
    kind = f"nsu={URI};s=MachineAlarmType"
    async with Run(tmp_path, listening(line.url, event_type=kind)) as run:
        await run.until(lambda: run.status.get("events") == "subscribed")


# PackML


def structure(number: int, *, trigger: bool, at: datetime = BEGAN, message: str = "出料口卡料") -> bytes:
    """PackMLAlarmDataType as a controller writes it: ID, Value, Message, Category, DateTime, AckDateTime, Trigger."""
    text = message.encode()
    ticks = nanoseconds(at.isoformat()) // 100 + TICKS_1601
    return struct.pack("<iii", number, 2101, len(text)) + text + struct.pack("<iqqB", 3, ticks, 0, trigger)


class Admin:
    """The Admin object's structures of one machine."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.encoding = ua.NodeId(ALARM_ENCODING, 2)  # PackML's namespace came first

    async def add(self, name: str, *bodies: bytes) -> None:
        kind = ua.VariantType.ExtensionObject
        told = ua.Variant(self._told(*bodies), kind)
        index = self.line.index
        self.line.nodes[name] = await self.line.server.nodes.objects.add_variable(
            ua.NodeId(name, index), f"{index}:{name}", told, datatype=ua.NodeId(ua.ObjectIds.Structure)
        )

    async def say(self, name: str, *bodies: bytes, at: datetime = BEGAN) -> None:
        told = ua.Variant(self._told(*bodies), ua.VariantType.ExtensionObject)
        await self.line.nodes[name].write_value(ua.DataValue(told, SourceTimestamp=at))

    def _told(self, *bodies: bytes) -> Any:
        found = [ua.ExtensionObject(self.encoding, body) for body in bodies]
        for one in found:
            object.__setattr__(one, "Encoding", 1)
        return found[0] if len(found) == 1 else found


def packml(url: str, names: Mapping[str, str]) -> Any:
    return wanted(url, names)


async def test_a_stop_reason_raises_and_clears_and_the_same_again_is_once(line: Line, tmp_path: Path) -> None:
    admin = Admin(line)
    await admin.add("reason", structure(0, trigger=False))
    async with Proxy(line.url) as proxy, Run(tmp_path, packml(proxy.url, {"reason": "stop"})) as run:
        await run.until(lambda: run.standing("good") == 1)
        await admin.say("reason", structure(17, trigger=True))
        await run.until(lambda: active(run) == [("17", True)])
        proxy.break_off()
        await run.until(lambda: run.status["connections"] == 2)
        await admin.say("reason", structure(17, trigger=False), at=ENDED)
        await run.until(lambda: active(run) == [("17", True), ("17", False)])
        assert [alarm.at_ns for alarm in run.alarms] == [
            nanoseconds(BEGAN.isoformat()),
            nanoseconds(ENDED.isoformat()),
        ]


async def test_an_alarm_that_a_list_names_no_more_has_ended(line: Line, tmp_path: Path) -> None:
    admin = Admin(line)
    await admin.add("alarms", structure(1, trigger=True), structure(0, trigger=False))
    async with Run(tmp_path, packml(line.url, {"alarms": "stop"})) as run:
        await run.until(lambda: active(run) == [("1", True)])
        await admin.say("alarms", structure(1, trigger=True), structure(2, trigger=True))
        await run.until(lambda: active(run) == [("1", True), ("2", True)])
        await admin.say("alarms", structure(2, trigger=True), structure(0, trigger=False))
        await run.until(lambda: active(run)[2:] == [("1", False)])


async def test_another_structure_is_no_alarm_and_is_said_so(line: Line, tmp_path: Path) -> None:
    admin = Admin(line)
    await admin.add("longer", structure(1, trigger=True) + b"\x00")
    other = Admin(line)
    other.encoding = ua.NodeId(75, 2)
    await other.add("other", structure(1, trigger=True))
    for name, says in (("longer", "no PackML alarm"), ("other", "a structure of type ns=2;i=75")):
        async with Run(tmp_path / name, packml(line.url, {name: "stop"})) as run:
            await run.until(lambda says=says: says in run.bad().get("stop", ""))
            assert not run.alarms


async def test_nested_state_machines_are_one_state(line: Line, tmp_path: Path) -> None:
    for name, word in (("base", "Cleared"), ("machine", "Running"), ("execute", "Execute")):
        await line.add(name, ua.LocalizedText(word))
    settings = wanted(
        line.url,
        {"base": "state"},
        base={"inner": [f"nsu={URI};s=machine", f"nsu={URI};s=execute"]},
    )
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values("state") == [6.0])
        await line.write("execute", ua.LocalizedText("Held"))
        await run.until(lambda: run.values("state") == [6.0, 11.0])
        await line.write("base", ua.LocalizedText("Aborted"))
        await run.until(lambda: run.values("state") == [6.0, 11.0, 9.0])
        await line.write("execute", ua.LocalizedText("Idle"))  # inside a machine that is aborted
        await line.write("machine", ua.LocalizedText("Stopped"))
        await line.write("base", ua.LocalizedText("Cleared"))
        await run.until(lambda: run.values("state") == [6.0, 11.0, 9.0, 2.0])


async def test_mes_json_event_alarm_and_packml_structure_are_the_same_stop(
    line: Line, alarms: Alarms, tmp_path: Path
) -> None:
    admin = Admin(line)
    await admin.add("same", structure(0, trigger=False))
    async with Run(tmp_path / "packml", packml(line.url, {"same": "stop"})) as run:
        await run.until(lambda: run.standing("good") == 1)
        await admin.say("same", structure(17, trigger=True))
        await admin.say("same", structure(17, trigger=False), at=ENDED)
        await run.until(lambda: len(run.alarms) == 2)
        from_packml = run.alarms
    async with Run(tmp_path / "alarm", listening(line.url)) as run:
        await subscribed(run)
        await alarms.say("17", active=True)
        await alarms.say("17", active=False, at=ENDED)
        await run.until(lambda: len(run.alarms) == 2)
        from_alarm = run.alarms
    async with Run(tmp_path / "event", listening(line.url)) as run:
        await subscribed(run)
        for stands, at in ((True, BEGAN), (False, ENDED)):
            await _emit(line, active=stands, at=at)
        await run.until(lambda: len(run.alarms) == 2)
        from_event = run.alarms
    from_mes = _decoded([_mes(trigger=True), _mes(trigger=False)])
    same = [
        [replace(alarm, origin=from_mes[0].origin) for alarm in source]
        for source in (from_packml, from_alarm, from_event, from_mes)
    ]
    assert same[0] == same[1] == same[2] == same[3]
    assert [alarm.active for alarm in from_mes] == [True, False]


async def _emit(line: Line, *, active: bool, at: datetime) -> None:
    """A stop event of the maker's own type: no condition, its own properties."""
    kind = ua.NodeId("StopType", line.index)
    properties = (
        ("Asset", MACHINE),
        ("State", "Stopped"),
        ("ReasonId", "17"),
        ("ReasonValue", 2101),
        ("ReasonMessage", "出料口卡料"),
        ("ReasonCategory", "3"),
        ("Active", active),
    )
    if kind not in line.inside.aspace:
        made = await line.server.nodes.base_event_type.add_object_type(kind, f"{line.index}:StopType")
        for name, value in properties:
            await made.add_property(ua.NodeId(f"Stop.{name}", line.index), f"{line.index}:{name}", value)
    speaker = await line.server.get_event_generator(kind)
    speaker.event.Severity = 500
    for name, value in properties:
        setattr(speaker.event, name, value)
    await speaker.trigger(time_attr=at)


def _mes(*, trigger: bool) -> Record:
    body = {
        "type": "andon.machine.stop.v1",
        "id": f"mes-{trigger}",
        "data": {
            "state": "Stopped",
            "start_time": BEGAN.isoformat(),
            "end_time": ENDED.isoformat(),
            "reason": {
                "id": "17",
                "value": 2101,
                "message": "出料口卡料",
                "category": "3",
                "trigger": trigger,
            },
        },
    }
    topic = f"andon/v1/e/s/a/L2/c/{MACHINE}/_event/stop".encode()
    return Record(RecordKind.MESSAGE, nanoseconds(ENDED.isoformat()), topic, json.dumps(body).encode())


def _decoded(records: list[Record]) -> list[StopAlarm]:
    decoder = MessageDecoder()
    config = json.dumps({"version": 1, "document": PLANT}).encode()
    decoder.decode("engine", 0, [Record(RecordKind.CONFIG, 1, b"", config)])
    decoded = decoder.decode("mes", 0, records)
    assert not decoded.dead_letters, decoded.dead_letters
    return [event for event in decoded.events if isinstance(event, StopAlarm)]
