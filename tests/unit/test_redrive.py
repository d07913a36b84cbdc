"""A refused message is taken anew once what was wrong is mended: exactly once, as if it had never been refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from decoder_words import T0, config, message, stop, telemetry, topic
from hypothesis import given
from hypothesis import strategies as st
from small_line import FLOOR, SmallLine

from andon import redrive
from andon.database import reading, writing
from andon.events import SECOND_NS, Json
from andon.ports import DeadLetter, Record, RecordKind
from ingest import deadletters
from ingest.decode import MessageDecoder
from ingest.refusal import Reason
from ingest.series import SeriesStore

MS = 1_000_000
NEW = {**FLOOR["assets"][0], "id": "M9", "name": "M9"}
WITH_M9: dict[str, Json] = {**FLOOR, "version": 2, "assets": [*FLOOR["assets"], NEW]}


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SmallLine]:
    made = SmallLine(tmp_path / "data", "floor").configured()
    yield made
    for journal in made.journals.values():
        journal.close()


def readings(line: SmallLine, asset: str) -> list[tuple[int, float]]:
    series = SeriesStore(line.data / "series.sqlite", read_only=True)
    at_ns, values, _ = series.read(asset, "DE/temperature", 0, 2**62)
    series.close()
    return list(zip(at_ns.tolist(), values.tolist(), strict=True))


def test_a_message_of_an_asset_that_was_missing_is_stored_once_the_asset_is_there(line: SmallLine) -> None:
    line.receives(
        "floor",
        telemetry(1.0),
        telemetry(9.5, asset="M9", id="a", at_ns=T0 + 5 * MS),
        telemetry(2.0, at_ns=T0 + 9 * MS),
    )
    line.works()
    before = line.balance("floor")
    assert (before["stored"], before["refused_by_reason"]) == (2, {"unknown_asset": 1})
    line.configured(WITH_M9)
    assert line.redrives() == 1
    after = line.balance("floor")
    assert (after["received"], after["stored"], after["refused"], after["balanced"]) == (3, 3, 0, True)
    assert readings(line, "M9") == [(T0 + 5 * MS, 9.5)]
    assert line.letters() == []


def test_asked_twice_is_taken_once(line: SmallLine) -> None:
    line.receives("floor", telemetry(9.5, asset="M9", at_ns=None, received_ns=T0 + 5 * MS)).works()
    line.configured(WITH_M9)
    assert line.redrives() == 1
    counts, end = line.counts("floor"), line.journals["engine"].end()
    assert line.redrives() == 0
    assert (line.counts("floor"), line.journals["engine"].end()) == (counts, end)
    assert len(readings(line, "M9")) == 1  # it has no identity: only the asking itself can be told apart


def test_what_is_refused_again_says_so_and_can_be_asked_for_again(line: SmallLine) -> None:
    line.receives("floor", telemetry(1.0, asset="M9", name="XX/temperature")).works()
    assert line.redrives() == 1
    assert line.balance("floor")["refused_by_reason"] == {"unknown_asset": 1}
    line.configured(WITH_M9)
    assert line.redrives() == 1
    after = line.balance("floor")
    assert after["balanced"]
    assert {reason: count for reason, count in after["refused_by_reason"].items() if count} == {
        "unknown_point": 1
    }
    assert [letter.reason for letter in line.letters()] == ["unknown_point"]


def test_a_refused_number_is_no_gap_and_its_repetition_is_a_duplicate_of_it(line: SmallLine) -> None:
    def numbered(number: int, asset: str) -> Record:
        return telemetry(number, asset=asset, at_ns=T0 + number * MS, producer="p", boot="b", seq=number)

    line.receives("floor", numbered(1, "M1"), numbered(2, "M9"), numbered(2, "M9"), numbered(3, "M1")).works()
    assert line.counts("floor")["duplicates"] == 1
    line.configured(WITH_M9)
    line.redrives()
    line.receives("floor", numbered(2, "M9")).works()
    after = line.balance("floor")
    assert (after["stored"], after["duplicates"], after["refused"], after["balanced"]) == (3, 2, 0, True)
    assert readings(line, "M9") == [(T0 + 2 * MS, 2.0)]


def test_with_a_burned_identity_the_message_would_be_lost(
    line: SmallLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The naive way: the refused message's own identity stands in its way, and it is a duplicate of nothing."""
    line.receives("floor", telemetry(9.5, asset="M9", id="a")).works()
    line.configured(WITH_M9)
    monkeypatch.setattr(redrive, "IDENTIFIED", 0)
    line.redrives()
    assert line.counts("floor")["duplicates"] == 1
    assert readings(line, "M9") == []


def test_a_message_that_was_refused_unread_and_came_again_mended_is_a_conflict(line: SmallLine) -> None:
    spoiled = message(topic("M1"), {"type": "andon.telemetry.v1", "id": "a", "data": {}})
    line.receives("floor", spoiled, telemetry(4.0, id="a")).works()
    assert line.redrives() == 1
    assert line.balance("floor")["balanced"]
    assert [letter.reason for letter in line.letters()] == [Reason.SCHEMA]


def test_late_readings_are_kept_and_not_judged_and_a_late_stop_opens_its_ticket(line: SmallLine) -> None:
    without_m2 = {**FLOOR, "version": 3, "assets": [a for a in FLOOR["assets"] if a["id"] != "M2"]}
    line.receives("floor", telemetry(1.0, asset="M2", at_ns=T0 + 60 * SECOND_NS)).works()
    line.configured(without_m2)
    line.receives(
        "floor", telemetry(2.0, asset="M2", at_ns=T0 + 30 * SECOND_NS, received_ns=T0 + 61 * SECOND_NS)
    )
    line.receives("floor", stop("E7", asset="M2", at_ns=T0 + 40 * SECOND_NS)).works()
    assert line.tickets() == []
    line.configured({**FLOOR, "version": 4})
    assert line.redrives() == 2
    assert line.counts("floor")["late"] == 1
    assert readings(line, "M2") == [(T0 + 30 * SECOND_NS, 2.0), (T0 + 60 * SECOND_NS, 1.0)]
    assert line.tickets() == [("M2", "E7", "pending_dispatch", 1)]


@pytest.mark.parametrize("when", ["before it is taken", "after it is taken", "before a snapshot"])
def test_a_crash_at_any_place_repeats_it_exactly(
    line: SmallLine, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.receives("floor", telemetry(9.5, asset="M9", id="a"), stop("E1", asset="M9")).works()
    line.configured(WITH_M9)
    if when == "before it is taken":

        def power_cut(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(line.engine, "_turn", power_cut)
            with pytest.raises(KeyboardInterrupt):
                line.redrives()
        with writing(line.database) as conn:
            assert len(deadletters.asked(conn, 9)) == 2
    else:
        line.redrives()
    if when == "before a snapshot":
        line.engine.snapshot()
    digests = line.digests()
    again = line.killed()
    assert again.engine.differs == []
    again.redrives()
    assert again.digests()[: len(digests)] == digests
    assert again.balance("floor") == again.balance("floor") | {"stored": 2, "refused": 0, "balanced": True}
    assert again.tickets() == [("M9", "E1", "pending_dispatch", 1)]
    assert readings(again, "M9") == [(T0, 9.5)]
    line.journals = again.journals


def test_what_is_no_longer_kept_whole_is_not_asked_for_for_ever(line: SmallLine) -> None:
    body = b'{"reason": "too_large", "detail": "9 MiB", "length": 9, "sha256": "", "head": ""}'
    line.receives("floor", Record(RecordKind.REFUSED, T0, topic("M1"), body)).works()
    assert line.redrives() == 1
    with reading(line.database) as conn:
        assert deadletters.asked(conn, 9) == []
    assert line.balance("floor")["refused_by_reason"] == {"too_large": 1}


def test_many_are_taken_in_portions_and_in_the_order_received(line: SmallLine) -> None:
    count = 450
    line.receives("floor", *(telemetry(n, asset="M9", at_ns=T0 + n * MS) for n in range(count))).works()
    line.configured(WITH_M9)
    assert line.redrives() == count
    assert readings(line, "M9") == [(T0 + n * MS, float(n)) for n in range(count)]
    assert line.counts("floor")["late"] == 0
    assert line.counts("floor")["redriven"] == count


@given(
    st.builds(Record, st.just(RecordKind.REDRIVE), st.just(1), st.binary(max_size=9), st.binary(max_size=90))
)
def test_a_record_that_holds_no_message_is_refused_as_corrupt(record: Record) -> None:
    assert redrive.unwrap(record) is None
    decoder = MessageDecoder()
    decoded = decoder.decode("engine", 0, [config(), record])
    assert [letter.reason for letter in decoded.dead_letters] == [Reason.RECORD_CORRUPT]


@given(
    st.binary(max_size=50),
    st.binary(max_size=200),
    st.integers(0, 2**62),
    st.booleans(),
    st.integers(0, 0x3F),
)
def test_a_message_comes_out_as_it_went_in(
    address: bytes, body: bytes, received_ns: int, identified: bool, flags: int
) -> None:
    original = Record(RecordKind.MESSAGE, received_ns, address, body, 3, 4, flags)
    letter = DeadLetter("floor", 8, received_ns, address, "schema", "d", body, len(body), "", identified)
    found = redrive.unwrap(redrive.wrap(letter, original, 5))
    assert found is not None
    assert (found.source, found.position, found.reason) == ("floor", 8, "schema")
    added = redrive.REDRIVEN | (redrive.IDENTIFIED if identified else 0)
    assert found.record == Record(RecordKind.MESSAGE, received_ns, address, body, 3, 4, flags | added)
