"""Twice is once, in bounded memory: sequence numbers, opaque ids, re-sent packets."""

import tracemalloc
from dataclasses import asdict
from pathlib import Path

import pytest
from decoder_words import T0, decoder, telemetry
from hypothesis import given, settings
from hypothesis import strategies as st

from andon import snapshots
from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Notice
from andon.ports import Decoded
from ingest import identity as identity_module
from ingest import sequence as sequence_module
from ingest.identity import Generations, Identity
from ingest.sequence import MAX_HOLES, MAX_INTERVALS, PATIENCE, Sequence, Verdict

NUMBERS = st.lists(st.integers(0, 60) | st.sampled_from([10**6, 2**62]), max_size=80)


def take(sequence: Sequence, number: int, *, checksum: int = 0, at_s: float = 0, sent_ns: int = 0) -> Verdict:
    at_ns = int(at_s * SECOND_NS)
    return sequence.take(
        number, checksum, source_ns=sent_ns, at_ns=at_ns, received_ns=at_ns, asset="M1", point=None
    )


def each_is_new_once(numbers: list[int]) -> None:
    sequence, seen = Sequence(), set[int]()
    for number in numbers:
        expected = Verdict.DUPLICATE if number in seen else Verdict.NEW
        assert take(sequence, number) is expected
        seen.add(number)
    assert {n for lo, end in _intervals(sequence) if end - lo < 100 for n in range(lo, end)} == seen


@given(NUMBERS)
def test_a_number_is_new_exactly_once_in_any_order(numbers: list[int]) -> None:
    each_is_new_once(numbers)


@given(NUMBERS)
def test_intervals_are_ascending_and_never_touch(numbers: list[int]) -> None:
    sequence = Sequence()
    for number in numbers:
        take(sequence, number)
    assert sequence.bounds == sorted(set(sequence.bounds))


def _intervals(sequence: Sequence) -> list[tuple[int, int]]:
    return list(zip(sequence.bounds[::2], sequence.bounds[1::2], strict=True))


@given(NUMBERS, st.lists(st.integers(0, 30), max_size=80))
def test_holes_count_exactly_the_numbers_that_are_missing(numbers: list[int], waits_s: list[int]) -> None:
    sequence, seen, at_s = Sequence(), set[int](), 0
    told = 0
    for place, number in enumerate(numbers):
        at_s += waits_s[place] if place < len(waits_s) else 1
        take(sequence, number, at_s=at_s)
        seen.add(number)
        for hole, filled in sequence.news(at_s * SECOND_NS):
            told += 0 if filled else 1
            assert filled == (hole.missing == 0)
        for hole in sequence.holes:
            assert hole.missing == (hole.end - hole.first) - sum(hole.first <= n < hole.end for n in seen) > 0
            assert hole.told or at_s * SECOND_NS - hole.since_ns < MINUTE_NS
            assert hole.told or hole.end + PATIENCE > sequence.bounds[-1]
    assert told <= len(numbers)


def test_a_thousand_lost_ranges_stay_bounded_and_what_cannot_be_told_is_said() -> None:
    sequence = Sequence()
    for number in range(0, 4 * MAX_INTERVALS, 2):
        assert take(sequence, number) is Verdict.NEW
        sequence.news(0)
    assert len(sequence.bounds) <= 2 * MAX_INTERVALS
    assert len(sequence.holes) <= MAX_HOLES
    assert take(sequence, 1) is Verdict.FORGOTTEN
    assert take(sequence, 4 * MAX_INTERVALS - 3) is Verdict.NEW


def test_a_used_number_with_another_payload_is_a_conflict() -> None:
    sequence = Sequence()
    take(sequence, 5, checksum=1)
    assert take(sequence, 5, checksum=2) is Verdict.CONFLICT
    assert take(sequence, 5, checksum=1) is Verdict.DUPLICATE


def test_an_old_number_with_a_new_time_is_a_conflict() -> None:
    sequence = Sequence()
    for number in range(100):
        take(sequence, number, sent_ns=number + 1)
    assert take(sequence, 3, sent_ns=4) is Verdict.DUPLICATE
    assert take(sequence, 3, sent_ns=101) is Verdict.CONFLICT


def test_an_id_is_judged_per_source_with_the_payloads_checksum() -> None:
    memory = Identity()
    assert memory.opaque("a", b"id", 1) is Verdict.NEW
    assert memory.opaque("a", b"id", 1) is Verdict.DUPLICATE
    assert memory.opaque("a", b"id", 2) is Verdict.CONFLICT
    assert memory.opaque("b", b"id", 2) is Verdict.NEW


def test_the_window_of_ids_is_bounded_and_holds_at_least_half_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity_module, "MAX_IDS", 100)
    memory = Identity()
    for number in range(1000):
        assert memory.opaque("s", b"%d" % number, 0) is Verdict.NEW
    assert all(memory.opaque("s", b"%d" % number, 0) is Verdict.DUPLICATE for number in range(950, 1000))
    assert memory.opaque("s", b"1", 0) is Verdict.NEW
    assert sum(len(array) for name, array in memory.snapshot().items() if name.endswith("keys")) <= 100


def test_what_is_used_again_is_not_forgotten() -> None:
    kept: Generations[int, str] = Generations(4)
    for number in range(50):
        kept.put(number, "x")
        assert kept.get(0) == "x"
    assert len(kept.young) + len(kept.old) <= 4


def test_producers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity_module, "MAX_SEQUENCES", 10)
    memory = Identity()
    for number in range(100):
        sequence = memory.sequence(f"p{number}")
        take(sequence, 0)
        take(sequence, 2)
        memory.wait("s", f"p{number}", sequence)
    state = memory.snapshot()
    assert len(state["sequences.numbers"]) <= 10
    assert memory.forgotten == 100 - len(state["sequences.numbers"])
    restored = Identity()
    restored.restore(state)
    for one in (
        memory,
        restored,
    ):  # the holes of those forgotten are told at once, the others when it is time
        assert len(list(one.overdue("s", 0))) == memory.forgotten
        assert len(list(one.overdue("s", 2 * MINUTE_NS))) == len(state["sequences.numbers"])
        assert not list(one.overdue("s", 9 * MINUTE_NS))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("pqr"), st.integers(0, 12), st.integers(0, 3)), max_size=60), st.data()
)
def test_a_restored_memory_judges_as_the_first_one(
    said: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    def judge(memory: Identity, producer: str, number: int, checksum: int) -> object:
        sequence = memory.sequence(producer)
        verdict = take(sequence, number, checksum=checksum, at_s=number, sent_ns=number)
        told = [(asdict(hole), filled) for hole, filled in sequence.news(number * SECOND_NS)]
        memory.wait("s", producer, sequence)
        late = [(asdict(hole), filled) for hole, filled in memory.overdue("s", checksum * 30 * SECOND_NS)]
        opaque = memory.opaque("s", producer.encode() + bytes([number]), checksum)
        packet = memory.packet("s", (1, number), checksum, resent=bool(checksum % 2))
        return verdict, told, late, opaque, packet, [asdict(hole) for hole in sequence.holes]

    first, second = Identity(), Identity()
    cut = data.draw(st.integers(0, len(said)))
    for word in said[:cut]:
        judge(first, *word)
    second.restore(first.snapshot())
    for word in said[cut:]:
        assert judge(first, *word) == judge(second, *word)


def test_a_sequence_that_forgets_its_holes_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant of the law of numbers: an interval set that merges over a hole."""

    def insert(self: Sequence, number: int) -> None:
        self.bounds[:] = [min([number, *self.bounds]), max([number + 1, *self.bounds])]

    monkeypatch.setattr(sequence_module.Sequence, "_insert", insert)
    with pytest.raises(AssertionError):
        each_is_new_once([0, 2, 1])


def test_producers_cost_under_a_kilobyte_each_and_beyond_the_bound_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tests/faults` has the million."""
    bound = 10_000
    monkeypatch.setattr(identity_module, "MAX_SEQUENCES", bound)
    memory = Identity()
    tracemalloc.start()
    half = speak(memory, 0, bound)
    speak(memory, bound, 2 * bound)
    whole, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert half < 1024 * bound
    assert whole < 1.1 * half
    assert memory.forgotten >= bound
    snapshots.save(tmp_path, snapshots.picture(1, {"identity": memory.snapshot()}))
    loaded = snapshots.load_latest(tmp_path)
    assert loaded is not None
    again = Identity()
    again.restore(loaded[1]["identity"])
    for key in ("p19999", "p15001", "p3"):  # of the young half, of the old half, forgotten
        for number in (0, 1):
            assert take(again.sequence(key), number) is take(memory.sequence(key), number)
    assert again.forgotten == memory.forgotten


def speak(memory: Identity, first: int, end: int) -> int:
    for number in range(first, end):
        take(memory.sequence(f"p{number}"), 0)
    return tracemalloc.get_traced_memory()[0]


def told(decoded: Decoded) -> list[tuple[str, str, bool]]:
    return [
        (event.code, event.subject, event.active) for event in decoded.events if isinstance(event, Notice)
    ]


def test_a_conflict_is_kept_as_a_dead_letter_and_said_once_until_it_has_been_quiet_for_an_hour() -> None:
    made = decoder()
    records = [
        telemetry(1.0, id="a"),
        *(telemetry(2.0 + n, id="a", at_ns=T0 + n * SECOND_NS) for n in range(5)),
    ]
    decoded = made.decode("floor", 0, records)
    assert decoded.counts["stored"] == 1
    assert [letter.reason for letter in decoded.dead_letters] == ["id_conflict"] * 5
    assert told(decoded) == [("id_conflict", "floor", True)]
    assert all(type(event.code) is str for event in decoded.events if isinstance(event, Notice))
    assert told(made.decode("floor", 6, [telemetry(0.0, at_ns=T0 + HOUR_NS)])) == []
    assert told(made.decode("floor", 7, [telemetry(0.0, at_ns=T0 + HOUR_NS + 5 * SECOND_NS)])) == [
        ("id_conflict", "floor", False)
    ]


def test_too_many_producers_are_counted_and_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity_module, "MAX_SEQUENCES", 10)
    made = decoder()
    decoded = made.decode(
        "floor",
        0,
        [telemetry(1.0, producer=f"p{n}", boot="b", seq=0, at_ns=T0 + n * SECOND_NS) for n in range(50)],
    )
    assert decoded.counts["stored"] == 50
    assert 40 <= decoded.counts["identities_forgotten"] < 50
    assert told(decoded) == [("identity_overflow", "andon", True)]
