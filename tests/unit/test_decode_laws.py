"""Laws of the decoder on random streams of good, repeated, jumbled and hostile records."""

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from decoder_words import (
    OPCUA_DATA,
    PLANT,
    T0,
    block,
    config,
    decoder,
    gap_record,
    is_balanced,
    message,
    stop,
    streams,
    telemetry,
    tick,
    topic,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from andon import snapshots
from andon.events import SECOND_NS
from andon.ports import Decoded, Record, RecordKind
from ingest import take_telemetry
from ingest.decode import MessageDecoder

GOOD = st.builds(
    lambda number, asset, producer: telemetry(
        number, producer=producer, boot="b", seq=number, asset=asset, at_ns=T0 + number
    ),
    st.integers(0, 30) | st.sampled_from([150, 2**62]),
    st.sampled_from(["M1", "M2", "M9"]),
    st.sampled_from(["p", "q"]),
)
OTHERS = st.one_of(
    st.builds(telemetry, st.floats(allow_nan=False), id=st.sampled_from(["a", "b", "c"])),
    st.builds(telemetry, st.just(1.0), at_ns=st.none(), packet=st.integers(0, 2), flags=st.integers(0, 1)),
    st.builds(
        stop, st.sampled_from(["E1", "E2"]), asset=st.sampled_from(["M1", "M2"]), id=st.sampled_from("xyz")
    ),
    st.builds(lambda n: message(topic("M1", "_wave", "vib"), block(number=n)), st.integers(0, 5)),
    st.builds(gap_record, count=st.integers(0, 9), asset=st.sampled_from([None, "M1"])),
    st.builds(tick),
    st.builds(lambda n: config({"name": "p", "assets": PLANT["assets"][:n]}), st.integers(1, 3)),
    st.builds(lambda value: message(b"M1/DE/current", OPCUA_DATA | {"value": value}), st.integers(0, 3)),
)
RANDOM = st.builds(
    Record,
    st.sampled_from(RecordKind),
    st.integers(0, 2**62),
    st.binary(max_size=20)
    | st.sampled_from([topic("M1"), topic("M1", "_event", "x"), topic("M1", "_wave", "vib")]),
    st.binary(max_size=80)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "data", "metrics", "id", "seq", "x"]), inner, max_size=4
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)


def later(parts: tuple[Record, int]) -> Record:
    record, after_ns = parts
    return Record(record.kind, T0 + after_ns, record.topic, record.body, 1, record.packet, record.flags)


STREAM = st.lists(
    st.tuples(GOOD | OTHERS, st.integers(0, 200 * SECOND_NS)).map(later) | RANDOM, min_size=1, max_size=40
)


def in_parts(made: MessageDecoder, records: Sequence[Record], cuts: Sequence[int]) -> list[Decoded]:
    edges = [0, *sorted(cut % (len(records) + 1) for cut in cuts), len(records)]
    return [made.decode("s", start, records[start:end]) for start, end in pairwise(edges)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STREAM)
def test_every_message_is_counted_once_whatever_it_is(records: list[Record]) -> None:
    assert is_balanced(decoder().decode("s", 0, records))


def test_a_duplicate_that_is_not_counted_breaks_the_balance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(take_telemetry, "is_new", lambda *_, **__: False)
    assert not is_balanced(decoder().decode("s", 0, [telemetry(1), telemetry(1)]))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STREAM, st.lists(st.integers(0, 40), max_size=6))
def test_the_runs_in_which_records_come_change_nothing(records: list[Record], cuts: list[int]) -> None:
    whole = decoder().decode("s", 0, records)
    parts = in_parts(decoder(), records, cuts)
    assert streams(event for part in parts for event in part.events) == streams(whole.events)
    assert [letter for part in parts for letter in part.dead_letters] == whole.dead_letters
    for name in whole.counts:
        assert sum(part.counts.get(name, 0) for part in parts) == whole.counts[name]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STREAM, STREAM)
def test_a_snapshot_in_mid_stream_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, before: list[Record], after: list[Record]
) -> None:
    first = decoder()
    first.decode("s", 0, before)
    folder = tmp_path_factory.mktemp("snapshot")
    snapshots.save(folder, snapshots.picture(1, {"decoder": first.snapshot()}))
    stored = snapshots.load_latest(folder)
    assert stored is not None
    second = MessageDecoder()
    second.restore(stored[1]["decoder"])
    expected = first.decode("s", len(before), after)
    repeated = second.decode("s", len(before), after)
    assert streams(repeated.events) == streams(expected.events)
    assert repeated.dead_letters == expected.dead_letters
    assert repeated.counts == expected.counts
