"""Last wills: a machine that went without a word has a gap until it is heard again."""

from decoder_words import T0, block, decoder, message, once, reason, telemetry, topic

from andon.events import SECOND_NS, Gap, Readings
from andon.ports import Record
from ingest.decode import MessageDecoder
from ingest.retained import RETAIN


def word(*, online: bool, after_s: int = 0, asset: str = "M1", flags: int = 0) -> Record:
    record = message(topic(asset, "_state", "online"), {"online": online}, T0 + after_s * SECOND_NS)
    return record._replace(flags=flags)


def value(after_s: int, asset: str = "M1", flags: int = 0) -> Record:
    return telemetry(asset=asset, at_ns=None, received_ns=T0 + after_s * SECOND_NS, flags=flags)


def gaps(*records: Record) -> list[tuple[str | None, int, int | None]]:
    events = once(*records).events
    assert {event.cause for event in events if isinstance(event, Gap)} <= {"offline"}
    found = [event for event in events if isinstance(event, Gap)]
    start_s = T0 // SECOND_NS
    return [
        (gap.asset, gap.from_ns // SECOND_NS - start_s, gap.to_ns and gap.to_ns // SECOND_NS - start_s)
        for gap in found
    ]


def test_a_will_opens_a_gap_and_the_next_message_of_that_machine_ends_it() -> None:
    found = gaps(word(online=False, after_s=5), value(7, asset="M2"), value(9), value(11))
    assert found == [("M1", 5, None), ("M1", 5, 9)]


def test_the_gap_ends_before_what_ends_it() -> None:
    events = once(word(online=False), value(1)).events
    assert [type(event) for event in events] == [Gap, Gap, Readings]


def test_a_waveform_ends_it_too() -> None:
    wave = message(topic("M1", "_wave", "vib"), block(), T0 + SECOND_NS)
    assert gaps(word(online=False), wave) == [("M1", 0, None), ("M1", 0, 1)]


def test_the_word_that_it_is_back_ends_it() -> None:
    assert gaps(word(online=False), word(online=True, after_s=3)) == [("M1", 0, None), ("M1", 0, 3)]


def test_a_will_that_is_said_again_is_the_same_gap() -> None:
    found = gaps(word(online=False), word(online=False, after_s=2, flags=RETAIN), value(4))
    assert found == [("M1", 0, None), ("M1", 0, 4)]


def test_a_machine_that_was_gone_before_we_came_is_gone() -> None:
    assert gaps(word(online=False, flags=RETAIN)) == [("M1", 0, None)]


def test_what_a_broker_had_retained_is_no_sign_of_life() -> None:
    assert gaps(word(online=False), value(2, flags=RETAIN)) == [("M1", 0, None)]


def test_another_source_of_the_same_machine_does_not_end_it() -> None:
    made = decoder()
    made.decode("broker", 0, [word(online=False)])
    assert not any(isinstance(event, Gap) for event in made.decode("controller", 0, [value(1)]).events)
    assert any(isinstance(event, Gap) for event in made.decode("broker", 1, [value(2)]).events)


def test_who_is_away_survives_a_snapshot() -> None:
    before, after = decoder(), MessageDecoder()
    before.decode("s", 0, [word(online=False)])
    after.restore(before.snapshot())
    (gap, _) = after.decode("s", 1, [value(6)]).events
    assert isinstance(gap, Gap)
    assert (gap.from_ns, gap.to_ns) == (T0, T0 + 6 * SECOND_NS)


def test_a_word_that_is_none_is_a_dead_letter() -> None:
    address = topic("M1", "_state", "online")
    assert reason(message(address, {"online": "no"})) == "schema"
    assert reason(message(topic("M1", "_state", "mood"), {"online": False})) == "unknown_topic"
    assert reason(message(topic("M9", "_state", "online"), {"online": False})) == "unknown_asset"
