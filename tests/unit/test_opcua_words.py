"""What an OPC UA server says as records, what has no room on its way to the journal, and what is refused at once."""

import asyncio
import errno
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from andon.events import Json
from andon.ports import Decoded, Record, RecordKind
from ingest import opcua_intake
from ingest.decode import MessageDecoder
from ingest.opcua import Parameters
from ingest.opcua_backfill import Backfill
from ingest.opcua_conditions import Conditions
from ingest.opcua_events import Events, asked, said_of
from ingest.opcua_intake import Intake
from ingest.opcua_items import Board, Item
from ingest.opcua_published import Lasting, Published
from ingest.opcua_words import BAD, address_of, gap_record, node_id, value_of, value_record

URL = "opc.tcp://127.0.0.1:4840"
FAR = "opc.tcp://192.0.2.7:4840"
EVENTS = Events()


def told(value: object, status: int = 0, **times: datetime) -> ua.DataValue:
    return ua.DataValue(ua.Variant(value), ua.StatusCode(status), **times)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.5, (1.5, 0)),
        (True, (1, 0)),
        (2**63, (2**63, 0)),
        ("Execute", ("Execute", 0)),
        (math.nan, (None, BAD)),
        (math.inf, (None, BAD)),
        (None, (None, BAD)),
        ([1.0, 2.0], (None, 0x80740000)),
    ],
)
def test_a_value_is_kept_or_said_to_be_none(value: object, expected: tuple[Json, int]) -> None:
    found = value_of(told(value))
    assert (found.value, found.status) == expected


def test_a_bad_status_is_kept_as_the_server_gave_it() -> None:
    assert value_of(told(math.nan, 0x80050000)).status == 0x80050000


def test_bytes_go_as_base64() -> None:
    record = value_record("M1", "vib", "i=1", value_of(told(b"AWB1")), 5)
    assert json.loads(record.body)["value"] == "QVdCMQ=="
    assert json.loads(record.body)["encoding"] == "base64"
    assert (record.topic, record.received_ns) == (b"M1/vib", 5)


@pytest.mark.parametrize("year", [1601, 9999])
def test_a_time_that_says_there_is_none_is_none(year: int) -> None:
    assert value_of(told(1.0, SourceTimestamp=datetime(year, 1, 1, tzinfo=UTC))).source_time is None


@given(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text()
    | st.binary()
    | st.dates()
    | st.lists(st.floats()),
    st.integers(0, 2**32 - 1),
    st.none() | st.datetimes(),
)
def test_whatever_a_server_sends_is_a_record_that_can_be_read(
    value: object, status: int, moment: datetime | None
) -> None:
    given_value = ua.DataValue(
        ua.Variant(value, ua.VariantType.ExtensionObject), ua.StatusCode(status), SourceTimestamp=moment
    )
    found = value_of(given_value)
    decoded = _decoded([value_record("M1", "DE/x", "i=1", found, 2**60)])
    reasons = {letter.reason for letter in decoded.dead_letters}
    assert reasons <= {"schema", "unknown_asset", "bad_waveform_header", "malformed_json"}


def _decoded(records: Sequence[Record]) -> Decoded:
    return MessageDecoder().decode("s", 0, records)


def test_the_overflow_bit_is_seen_with_any_severity() -> None:
    assert value_of(told(1.0, 0x480)).overflowed
    assert value_of(told(1.0, 0x80000480)).overflowed
    assert not value_of(told(1.0, 0x400)).overflowed
    assert not value_of(told(1.0, 0x080)).overflowed


def test_an_event_without_asset_and_reason_is_none_of_ours() -> None:
    assert said_of({"EventId": b"1", "Severity": 1}, EVENTS) is None


def test_an_event_that_does_not_say_whether_it_is_active_is_a_dead_letter() -> None:
    said = said_of({"EventId": b"1", ".asset": "M1", ".reason_id": "E1", ".state": "Stopped"}, EVENTS)
    assert said is not None
    (letter,) = _decoded([said.record(5)]).dead_letters
    assert letter.reason == "schema"


def test_an_event_may_say_its_state_by_number_and_its_message_in_its_own_field() -> None:
    fields = {
        "EventId": b"\x01",
        "Severity": 0,
        "Message": ua.LocalizedText("jam"),
        ".asset": "M1",
        ".reason_id": "E1",
        ".state": 2,
        ".active": True,
    }
    said = said_of(fields, EVENTS)
    assert said is not None
    body = json.loads(said.record(5).body)
    assert (body["state"], body["reason"]["message"], body["severity"]) == (2, "jam", 1)


ALARM = {
    "EventId": b"\x01",
    "SourceName": "M1",
    "ConditionName": "Overload",
    "ConditionId": ua.NodeId("M1.Overload", 2),
    "EnabledState/Id": True,
    "ActiveState/Id": True,
}


@pytest.mark.parametrize(
    ("fields", "active"),
    [({}, True), ({"ActiveState/Id": False}, False), ({"EnabledState/Id": False}, False)],
)
def test_an_alarm_is_active_while_it_is_switched_on_and_says_so(
    fields: dict[str, Json], active: bool
) -> None:
    said = said_of(ALARM | fields, EVENTS, ["http://opcfoundation.org/UA/", "urn:a", "urn:b"])
    assert said is not None
    assert said.active is active
    assert said.condition == "nsu=urn:b;s=M1.Overload"
    assert (said.body["asset"], said.body["reason"]["id"], said.body["state"]) == (
        "M1",
        "Overload",
        "Stopped",
    )


@pytest.mark.parametrize(
    "fields",
    [{"BranchId": ua.NodeId("earlier", 2)}, {"ActiveState/Id": None}, {"SourceName": ""}],
    ids=["an earlier state of it", "a condition that is no alarm", "of nobody"],
)
def test_what_is_no_alarm_of_now_is_left_out(fields: dict[str, Json]) -> None:
    assert said_of(ALARM | fields, EVENTS) is None


def test_an_alarm_of_another_machine_than_those_named_is_left_out() -> None:
    named = Events(assets={"M1": "L1-M1"})
    said = said_of(ALARM, named)
    assert said is not None
    assert said.body["asset"] == "L1-M1"
    assert said_of(ALARM | {"SourceName": "Switch"}, named) is None


def test_an_address_outlives_another_order_of_the_namespaces() -> None:
    spaces = ["http://opcfoundation.org/UA/", "urn:a", "urn:b"]
    for address in ("nsu=urn:b;s=x;y=z", "nsu=urn:a;i=70000", "i=2253"):
        assert address_of(node_id(address, spaces), spaces) == address


def test_a_node_is_found_by_the_uri_of_its_namespace() -> None:
    spaces = ["http://opcfoundation.org/UA/", "urn:a", "urn:b"]
    assert node_id("nsu=urn:b;s=x;y=z", spaces).to_string() == "ns=2;s=x;y=z"
    assert node_id("i=2253", spaces).to_string() == "i=2253"
    with pytest.raises(ValueError, match="no namespace 'urn:c'"):
        node_id("nsu=urn:c;s=x", spaces)
    with pytest.raises(ValueError, match="no node id"):
        node_id("nsu=urn:b;i=x", spaces)


# settings


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url": URL, "security": "none"}, "allow_insecure = true"),
        ({"url": FAR, "security": "none", "allow_insecure": True}, "over_the_network"),
        (
            {"url": "opc.tcp://localhost.example.org:4840", "security": "none", "allow_insecure": True},
            "over_the_network",
        ),
        ({"url": FAR, "security": "Basic256"}, "Basic256Sha256"),
        ({"url": FAR, "security": "Basic128Rsa15"}, "Basic256Sha256"),
        ({"url": FAR, "mode": "None"}, "SignAndEncrypt"),
        ({"url": FAR, "password": "p"}, "a password needs a user"),
        ({"url": FAR, "user": "u", "password": "p", "password_file": "f"}, "not both"),
        ({"url": FAR, "user": "u", "password": "p", "mode": "Sign"}, "it could be read"),
        ({"url": FAR, "user_certificate": "c"}, "go together"),
        ({"url": FAR, "user": "u", "user_certificate": "c", "user_private_key": "k"}, "not both"),
        (
            {
                "url": FAR,
                "security": "none",
                "allow_insecure_over_the_network": True,
                "user": "u",
                "password": "p",
            },
            "given away",
        ),
        ({"url": "http://x", "allow_insecure": True}, "pattern"),
        (
            {
                "url": URL,
                "allow_insecure": True,
                "items": [{"node": "ns=2;s=x", "asset": "a", "channel": "c"}],
            },
            "pattern",
        ),
        (
            {
                "url": URL,
                "allow_insecure": True,
                "items": [{"node": f"i={n}", "asset": "a", "channel": "c"} for n in (1, 2)],
            },
            "twice: a/c",
        ),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_with_the_cure(
    settings: dict[str, Json], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        Parameters.model_validate(settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.8.8"])
def test_an_insecure_server_on_this_machine_may_be_allowed(host: str) -> None:
    Parameters(url=f"opc.tcp://{host}:4840", security="none", allow_insecure=True)


# on the way to the journal


class Shelf:
    """A journal in memory that can be slow, or have no space."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.error: OSError | None = None
        self._loop = asyncio.get_running_loop()
        self._more = asyncio.Event()

    def append(self, records: Sequence[Record]) -> int:
        if self.error is not None:
            raise self.error
        self.records += records
        self._loop.call_soon_threadsafe(self._more.set)
        return len(self.records)

    async def holds(self, count: int) -> None:
        while len(self.records) < count:
            self._more.clear()
            await self._more.wait()

    def read(self, position: int, limit: int) -> Sequence[Record]:
        return self.records[position : position + limit]

    def end(self) -> int:
        return len(self.records)

    def close(self) -> None:
        pass


def message(number: int) -> Record:
    return Record(RecordKind.MESSAGE, number, b"M1/DE/x", b"%d" % number)


async def test_what_finds_no_room_is_counted_and_said_in_its_place() -> None:
    shelf = Shelf()
    intake = Intake(shelf, lambda: 99, limit=3)
    for number in range(10):
        intake.message(message(number))
    intake.gap(4, 5, "server_queue_overflow")
    writing = asyncio.create_task(intake.write())
    async with asyncio.timeout(5):
        await shelf.holds(4)
    intake.message(message(10))
    intake.close()
    await writing
    kinds = [record.kind for record in shelf.records]
    assert kinds == [RecordKind.MESSAGE] * 3 + [RecordKind.GAP, RecordKind.MESSAGE]
    gap = json.loads(shelf.records[3].body)
    assert (gap["cause"], gap["count"], gap["from_ns"], gap["to_ns"]) == ("overflow", 7, 3, 99)
    facts = {"received": 11, "last_received_ns": 10, "overflow": 7, "gaps": 1, "waiting": 0}
    assert intake.facts() == facts
    counts = _decoded(shelf.records).counts
    assert (counts["received"], counts["overflow"]) == (11, 7)


async def test_a_full_disk_is_waited_for_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua_intake, "RETRY_S", 0.01)
    shelf = Shelf()
    shelf.error = OSError(errno.ENOSPC, "no space")
    intake = Intake(shelf, lambda: 0, limit=100)
    intake.message(message(1))
    writing = asyncio.create_task(intake.write())
    await asyncio.sleep(0.05)
    assert not shelf.records
    assert not writing.done()
    shelf.error = None
    intake.message(message(2))
    intake.close()
    await writing
    assert [record.received_ns for record in shelf.records] == [1, 2]


async def test_a_disk_that_fails_ends_the_collector() -> None:
    shelf = Shelf()
    shelf.error = OSError(errno.EIO, "input/output error")
    intake = Intake(shelf, lambda: 0, limit=100)
    intake.message(message(1))
    with pytest.raises(OSError, match="input/output"):
        await intake.write()


# what is published


def published(number: int, *parts: object) -> ua.PublishResult:
    result = ua.PublishResult()
    result.NotificationMessage.SequenceNumber = number
    result.NotificationMessage.NotificationData = list(parts)
    return result


def change(handle: int, value: float) -> ua.DataChangeNotification:
    item = ua.MonitoredItemNotification(ua.UInt32(handle), told(value))
    return ua.DataChangeNotification([item])


def subscription(shelf: Shelf) -> tuple[Published, Intake, Board]:
    intake = Intake(shelf, lambda: 50, limit=100)
    lasting = Lasting(intake, Board(), Conditions({}), Backfill(intake, lambda: 50, 1000), lambda: 50)
    lasting.board.want([Item(node="i=1", asset="M1", channel="DE/x")])
    published = Published(lasting, Events(namespace=None))
    published.asked[0] = asked(Events(namespace=None), ())
    return published, intake, lasting.board


async def test_a_hole_in_the_notifications_is_a_gap() -> None:
    shelf = Shelf()
    made, intake, _ = subscription(shelf)
    for number in (1, 2, 4):
        made.take(published(number, change(1, 1.0)))
    made.take(published(5))  # a keep-alive carries the next number and does not use it
    made.take(published(5, change(1, 1.0)))
    intake.close()
    await intake.write()
    causes = [json.loads(r.body)["cause"] for r in shelf.records if r.kind is RecordKind.GAP]
    assert causes == ["notification_lost"]
    assert len(shelf.records) == 5


async def test_numbers_of_notifications_start_over_at_one() -> None:
    made, intake, _ = subscription(Shelf())
    made.take(published(2**32 - 1, change(1, 1.0)))
    made.take(published(1, change(1, 1.0)))
    assert intake.gaps == 0


async def test_a_value_of_an_item_that_is_wanted_no_more_is_left_out() -> None:
    made, intake, board = subscription(Shelf())
    board.want([])
    made.take(published(1, change(1, 1.0)))
    assert (intake.gaps, board.unreadable, intake.received) == (0, 0, 0)


async def test_a_notification_that_cannot_be_read_is_a_gap_and_the_next_is_taken() -> None:
    made, intake, board = subscription(Shelf())
    made.take(published(1, change(77, 1.0), change(1, 2.0)))
    assert (intake.gaps, board.unreadable, intake.received) == (1, 1, 1)


async def test_a_server_whose_event_queue_overflowed_leaves_a_gap() -> None:
    made, intake, _ = subscription(Shelf())
    kind = ua.NodeId(ua.Int32(ua.ObjectIds.EventQueueOverflowEventType))
    fields = [ua.Variant(b"1"), ua.Variant(kind)]
    made.take(published(1, ua.EventNotificationList([ua.EventFieldList(ua.UInt32(0), fields)])))
    assert (intake.gaps, intake.received) == (1, 0)


def test_a_gap_record_can_be_read() -> None:
    decoded = _decoded([gap_record(1, None, "connection", 5)])
    assert len(decoded.events) == 1
    assert not decoded.dead_letters
