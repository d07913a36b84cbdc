"""What the console says: numbers, times, verdicts, charts and rates, without a server."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Family, Number, nanoseconds
from andon.ports import DeadLetter
from api.answers import plain
from api.auth import host_name
from api.catalogue import words_of
from api.flow import Rates, sources_of
from api.pipeline import readable
from api.web.charts import charts_of
from api.web.formats import PlantTime, number, quantity
from api.web.wording import finding_arguments, fold_sentence, limit_sources, verdict
from ticketing.ticket import Fold, FoldRule, Headline

NOW_NS = nanoseconds("2026-03-12T07:20:00Z")
EN, ZH = words_of("en"), words_of("zh")
SHANGHAI = PlantTime(ZoneInfo("Asia/Shanghai"), NOW_NS, EN)

ZONE_D = Headline(
    family=Family.MACHINE_CONDITION,
    component="bearing_de",
    condition="zone_d",
    severity=800,
    confidence=1.0,
    at_ns=NOW_NS,
    finding="f",
    numbers=(Number("velocity_rms", 4.9321, "mm/s", 4.5, "ISO 10816-3:2009"),),
    text={"point": "DE"},
)


def test_times_are_those_of_the_plant_with_their_offset() -> None:
    assert SHANGHAI.at(NOW_NS) == "2026-03-12 15:20:00 +08:00"
    assert SHANGHAI.at(None) == "–"
    berlin = replace(SHANGHAI, zone=ZoneInfo("Europe/Berlin"))
    assert berlin.at(nanoseconds("2026-03-29T00:59:59Z")) == "2026-03-29 01:59:59 +01:00"
    assert berlin.at(nanoseconds("2026-03-29T01:00:00Z")) == "2026-03-29 03:00:00 +02:00"


def test_a_charts_time_reads_as_plant_time_on_both_sides_of_a_clock_change() -> None:
    berlin = replace(SHANGHAI, zone=ZoneInfo("Europe/Berlin"))
    before, after = nanoseconds("2026-03-29T00:59:00Z"), nanoseconds("2026-03-29T01:00:00Z")
    assert berlin.shifted_ms(after) - berlin.shifted_ms(before) == (60 + 3600) * 1000


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (2 * 86_400 + 3600, "2 d 1 h"),
    ],
)
def test_a_span_names_its_two_largest_units(seconds: float, said: str) -> None:
    assert SHANGHAI.span(seconds) == said


def test_ages_are_told_from_now() -> None:
    assert SHANGHAI.ago(NOW_NS - 42 * MINUTE_NS) == "42 min ago"
    assert SHANGHAI.ago(NOW_NS - SECOND_NS) == "just now"
    assert SHANGHAI.ago(NOW_NS + HOUR_NS) == "just now"


def test_vibration_reads_with_three_digits_and_its_unit() -> None:
    assert quantity(4.9321, "mm/s") == "4.93\u00a0mm/s"
    assert quantity(41.26, "Cel") == "41.3\u00a0°C"
    assert number(0.000123456) == "0.000123"
    assert number(-5.0) == "-5"


def test_counts_in_a_time_and_chances_read_as_a_planner_says_them() -> None:
    chatter = replace(
        ZONE_D,
        condition="fleeting_alarm",
        numbers=(
            Number("activations", 5.0, "1/h", 3.0, "ISA-18.2"),
            Number("active", 4.0, "s"),
            Number("on_delay", 5.0, "s"),
        ),
        text={"message": "Guard open"},
    )
    assert "<b>5</b> times within an hour, limit <b>3</b>" in verdict(chatter, EN, SHANGHAI)
    assert "一小时内 <b>5</b> 次，限值 <b>3</b> 次" in verdict(chatter, ZH, SHANGHAI)
    assert quantity(5.0, "1/h") == "5\u00a0/h"
    assert finding_arguments((Number("one_in", 617_820.0, "1"),), {}, SHANGHAI) == {"one_in": "600\u202f000"}


def test_the_whole_machine_is_said_in_words_where_a_reason_of_stops_stands() -> None:
    numbers = (
        *(Number("stops", 9.0, "1"), Number("usual", 1.2, "1")),
        *(Number("within_s", 28_800.0, "s"), Number("one_in", 200_000.0, "1")),
    )
    often = replace(ZONE_D, condition="stop_rate", numbers=numbers, text={"reason": "machine"})
    assert verdict(often, ZH, SHANGHAI).startswith("停机比以往频繁（<b>整机</b>）：运行 <b>8")
    e9 = replace(often, text={"reason": "E9"})
    assert verdict(e9, EN, SHANGHAI).startswith(
        "More stops than there used to be (<b>E9</b>): <b>9</b> in <b>8 h"
    )


def test_the_point_that_a_finding_names_is_said_in_words() -> None:
    numbers = (Number("silent_s", 3600.0, "s"), Number("period_s", 10.0, "s"))
    silent = replace(ZONE_D, condition="silent_sensor", numbers=numbers, text={"point": "bearing_de"})
    assert verdict(silent, EN, SHANGHAI).startswith("<b>drive-end bearing</b> has been silent")
    assert verdict(silent, ZH, SHANGHAI).startswith("<b>驱动端轴承</b>")
    oil = replace(silent, text={"point": "oil_tank"})
    assert verdict(oil, EN, SHANGHAI).startswith("<b>oil tank</b> has been silent")


def test_a_distance_in_reaches_is_a_multiple() -> None:
    left = replace(
        ZONE_D,
        condition="process_change",
        numbers=(Number("distance", 19.9, "× reach", 2.6, "frozen baseline v1"),),
        text={"channels": "SLOW/temperature"},
    )
    assert "<b>19.9</b> × the distance that is healthy" in verdict(left, EN, SHANGHAI)
    assert "波动范围的 <b>19.9</b> 倍" in verdict(left, ZH, SHANGHAI)


def test_a_verdict_carries_the_numbers_in_bold() -> None:
    said = verdict(ZONE_D, EN, SHANGHAI)
    assert "<b>4.93\u00a0mm/s</b>" in said
    assert "<b>4.5\u00a0mm/s</b>" in said
    assert limit_sources(ZONE_D.numbers, EN) == ["Limit from ISO 10816-3:2009"]


def test_a_condition_that_the_catalogue_does_not_know_is_named_by_its_code() -> None:
    assert verdict(replace(ZONE_D, condition="oil<particles"), EN, SHANGHAI) == "oil&lt;particles"


def test_a_finding_that_lacks_its_numbers_is_named_without_them() -> None:
    assert verdict(replace(ZONE_D, numbers=()), ZH, replace(SHANGHAI, words=ZH)) == "振动进入 D 区"


def test_a_fold_says_its_rule_with_its_numbers() -> None:
    fold = Fold(FoldRule.SAME_EVENT, {"apart_s": -90.0})
    assert fold_sentence(fold, EN, SHANGHAI).startswith("Same cause, 1 min from")
    assert fold_sentence(Fold(FoldRule.SAME_EVENT), EN, SHANGHAI).startswith("Same cause, – from")


def test_the_envelope_comes_first_for_a_bearing_and_its_table_names_each_marker() -> None:
    evidence = {
        "trend": {"channel": "DE/velocity_rms", "unit": "mm/s", "at_ns": [NOW_NS], "value": [1.0]},
        "envelope": {
            "unit": "g",
            "dx_hz": 1.0,
            "value": [0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.5, 0.1, 0.1],
            "markers": [{"name": "BPFO", "hz": 2.2}, {"name": "FTF", "hz": 400.0}],
        },
    }
    first, second = charts_of(evidence, "bearing_outer_race", EN, SHANGHAI)
    assert (first.name, second.name) == ("envelope", "trend")
    assert first.rows == (("BPFO", "2.2", "0.9"), ("", "7", "0.5"))
    assert "Marked: BPFO" in first.summary
    assert first.spec["markers"][0]["main"]
    assert not first.spec["markers"][1]["main"]


def test_the_zone_above_the_last_limit_is_drawn_too() -> None:
    shape = {
        "channel": "DE/velocity_rms",
        "unit": "mm/s",
        "at_ns": [NOW_NS],
        "value": [1.0],
        "zones": [{"name": "A", "to": 1.4}, {"name": "B", "to": 2.8}, {"name": "C", "to": 4.5}],
    }
    (chart,) = charts_of({"trend": shape}, "zone_d", EN, SHANGHAI)
    assert chart.spec["zones"][-1] == {"name": "D", "to": None}


def test_an_empty_drawing_is_left_out() -> None:
    assert charts_of({"trend": {"value": []}, "baseline": {"version": 1}}, "zone_d", EN, SHANGHAI) == []


def test_every_byte_of_a_dead_letter_can_be_read() -> None:
    letter = DeadLetter("s", 1, 0, b"t", "r", "d", b"ok\x00\xff\x1b\n\xe6\xb8\xa9", 9, "")
    assert readable(letter) == "ok\\x00\\xff\\x1b\n温"


def test_a_source_says_what_is_in_its_way_and_the_mirror_is_no_source() -> None:
    refused = {"connected": False, "error": "127.0.0.1:1: Connection refused"}
    parts = {
        "a": {"running": True, "status": refused},
        "b": {"running": True, "status": {"connected": True, "stalled": None, "reload": ""}},
        "c": {"running": False, "quarantined": "died 3 times"},
        "influx": {"running": True, "status": {"connected": True}},
    }
    found = {source.name: source.why for source in sources_of({}, {"parts": parts}, Rates(), NOW_NS)}
    assert found == {"a": "127.0.0.1:1: Connection refused", "b": "", "c": "died 3 times"}


def test_a_source_that_is_down_is_not_called_connected() -> None:
    parts = {"a": {"running": False, "status": {"connected": True}}, "engine": {"running": True}}
    found = sources_of({"source.b": {"received": 3, "stored": 2}}, {"parts": parts}, Rates(), NOW_NS)
    assert [(one.name, one.condition, one.off_by) for one in found] == [("a", "down", 0), ("b", "unknown", 1)]


def test_the_first_look_at_a_counter_gives_no_rate() -> None:
    rates = Rates()
    assert rates.look("a", 100, NOW_NS) == (None, None)
    assert rates.look("a", 150, NOW_NS + 1) == (None, NOW_NS + 1)


def test_times_and_durations_leave_as_text_and_seconds() -> None:
    said = plain(ZONE_D)
    assert said["at"] == "2026-03-12T07:20:00.000Z"
    assert plain({"x": float("nan"), "y": (1, b"\xff")}) == {"x": None, "y": [1, "\ufffd"]}


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("127.0.0.1:8080", "127.0.0.1"),
        ("LOCALHOST", "localhost"),
        ("[::1]:80", "[::1]"),
        ("", ""),
        ("a.b:1:2", "a.b"),
    ],
)
def test_the_name_of_a_host_header(host: str, name: str) -> None:
    assert host_name(host) == name
