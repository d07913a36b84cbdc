"""Which alarms stand: what a refresh does not tell has ended, and a crash at any point forgets none."""

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from andon.events import PackMLState
from andon.ports import Record
from ingest import opcua_conditions
from ingest.opcua_conditions import LISTED, Conditions, Memory
from ingest.opcua_events import Said
from ingest.packml import PackMLAlarm, alarm_of, innermost, state_of


def said(condition: str | None, *, active: bool = True) -> Said:
    reason = {"id": "E1", "trigger": active}
    body = {"event_id": f"{condition}/{active}", "asset": "M1", "reason": reason, "condition": condition}
    return Said(body, condition)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua_conditions, "SETTLE_S", 0.0)


def refreshed(conditions: Conditions, told: Sequence[Said]) -> list[str | None]:
    conditions.refresh_begins()
    for one in told:
        conditions.hear(one)
    conditions.refresh_ends()
    return [one.condition for one in conditions.ended_unheard()]


def test_what_a_refresh_does_not_tell_has_ended_once() -> None:
    conditions = Conditions({})
    for name in ("a", "b", "c"):
        conditions.hear(said(name))
    assert refreshed(conditions, [said("b")]) == ["a", "c"]
    assert refreshed(conditions, [said("b")]) == []


def test_the_end_of_an_alarm_has_an_id_of_its_own_and_is_the_same_each_time() -> None:
    ends = []
    for _ in range(2):
        conditions = Conditions({"a": said("a").body})
        conditions.refresh_begins()
        conditions.refresh_ends()
        (ended,) = conditions.ended_unheard()
        assert not ended.active
        ends.append(ended.body["event_id"])
    assert ends[0] == ends[1] != said("a").body["event_id"]


def test_a_refresh_that_was_cut_short_clears_nothing() -> None:
    conditions = Conditions({"a": said("a").body})
    conditions.refresh_begins()
    conditions.connection_lost()
    assert conditions.ended_unheard() == []
    conditions.refresh_ends()  # the end of one that nobody saw begin
    assert conditions.ended_unheard() == []


def test_what_two_notifiers_tell_is_one_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua_conditions, "SETTLE_S", 60.0)
    conditions = Conditions({"a": said("a").body, "b": said("b").body})
    for told in ("a", "b"):
        conditions.refresh_begins()
        conditions.hear(said(told))
        conditions.refresh_ends()
        assert conditions.ended_unheard() == []


def test_an_alarm_of_a_list_is_ended_by_its_list_and_by_no_refresh() -> None:
    scope = f"{LISTED}i=1#"
    conditions = Conditions({})
    conditions.only(scope, [said(f"{scope}1"), said(f"{scope}2")])
    assert refreshed(conditions, []) == []
    told = conditions.only(scope, [said(f"{scope}2")])
    assert [(one.condition, one.active) for one in told] == [(f"{scope}2", True), (f"{scope}1", False)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12), st.data())
def test_a_crash_anywhere_leaves_no_alarm_in_the_journal_that_the_file_does_not_know(
    tmp_path_factory: pytest.TempPathFactory, words: list[tuple[str, bool]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("memory")
    memory = Memory(folder)
    journal: list[Record] = []
    records = [said(name, active=active).record(0) for name, active in words]
    crash = data.draw(st.integers(0, 3 * len(records)))
    size = data.draw(st.integers(1, 4))
    step = 0
    for start in range(0, len(records), size):
        batch = records[start : start + size]
        for do in (memory.before, journal.extend, memory.after):
            if step < crash:
                do(batch)
            step += 1
    standing = Conditions({})
    for record, (name, active) in zip(journal, words, strict=False):
        assert record
        standing.hear(said(name, active=active))
    assert set(standing._standing) <= set(Memory(folder).standing)


def test_a_file_that_cannot_be_read_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "conditions.json").write_bytes(b"{")
    assert Memory(tmp_path).standing == {}


# PackML


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["Cleared", "Running", "Execute"], (2, "Execute")),
        (["Cleared", "Stopped", "Execute"], (1, "Stopped")),
        (["Aborting", None, None], (0, "Aborting")),
        (["Cleared", None, "Execute"], None),
        (["Cleared", "Running", "Dancing"], None),
        ([6], (0, 6)),
    ],
)
def test_the_innermost_state_machine_that_runs_speaks(
    words: list[str | int | None], found: tuple[int, str | int] | None
) -> None:
    assert innermost(words) == found


def encoded(message: bytes, *, trigger: int = 1, ticks: int = 133_851_636_001_230_000) -> bytes:
    head = struct.pack("<iii", 17, 2101, len(message)) + message
    return head + struct.pack("<iqqB", 3, ticks, 0, trigger)


def test_an_alarm_structure_is_read_by_its_layout() -> None:
    read = alarm_of(encoded("卡料".encode()))
    assert read == PackMLAlarm(17, 2101, "卡料", 3, 1_740_690_000_123_000_000, trigger=True)
    null = struct.pack("<iii", 17, 2101, -1) + struct.pack("<iqqB", 3, 0, 0, 0)
    assert alarm_of(null) == PackMLAlarm(17, 2101, "", 3, None, trigger=False)


@given(st.binary(max_size=80))
def test_any_other_bytes_are_no_alarm_or_one_that_fits_exactly(body: bytes) -> None:
    try:
        alarm = alarm_of(body)
    except ValueError:
        return
    assert alarm.at_ns is None or 0 <= alarm.at_ns < 2**63


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_structure_that_was_cut_is_no_alarm(cut: int) -> None:
    with pytest.raises(ValueError, match="no PackML alarm"):
        alarm_of(encoded(b"jam")[:-cut])


def test_each_state_is_known_by_the_name_that_packml_gives_it() -> None:
    assert all(state_of(state.name) is state for state in PackMLState)
