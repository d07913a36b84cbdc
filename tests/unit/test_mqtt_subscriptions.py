"""Filters: what is one, what falls under it, what the broker may still know, and what has come by each."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from paho.mqtt.client import topic_matches_sub

from andon.ports import Record, RecordKind
from ingest.mqtt_subscriptions import Arrivals, Kept, Subscriptions, filter_problem, matches, shared

LEVEL = some.text("ab$", max_size=2)


def records(*topics: str, at_ns: int = 5) -> list[Record]:
    return [Record(RecordKind.MESSAGE, at_ns, topic.encode(), b"") for topic in topics]


@given(
    some.lists(some.one_of(LEVEL, some.just("+")), min_size=1, max_size=4),
    some.booleans(),
    some.lists(LEVEL, min_size=1, max_size=5),
)
def test_what_falls_under_a_filter_is_what_paho_says(
    wanted: list[str], rest: bool, levels: list[str]
) -> None:
    pattern, topic = "/".join([*wanted, "#"] if rest else wanted), "/".join(levels)
    if not pattern or not topic:
        return
    assert matches(pattern, topic) == topic_matches_sub(pattern, topic)


@pytest.mark.parametrize("text", ["#", "+", "a/+/b/#", "$SYS/#", "/", "a//b", "工厂/#"])
def test_a_filter_that_is_one(text: str) -> None:
    assert not filter_problem(text)


@pytest.mark.parametrize("text", ["", "a#", "#/a", "a/b+", "a/+b", "\0", "x" * 65_536, "$share/g/a"])
def test_a_filter_that_is_none_says_why(text: str) -> None:
    assert filter_problem(text)


def test_a_group_is_asked_for_by_name() -> None:
    assert (shared(None, "a/#"), shared("g", "a/#")) == ("a/#", "$share/g/a/#")


def test_arrivals_are_counted_by_filter_and_what_brings_nothing_is_seen() -> None:
    arrivals = Arrivals(["a/#", "a/b", "c"])
    arrivals.note(records("a/b", "a/b", "a/x", at_ns=7))
    arrivals.note(records("a/b", at_ns=9))
    arrivals.note([])
    assert arrivals.last_received_ns == 9
    assert arrivals.facts() == {
        "a/#": {"messages": 4, "last_received_ns": 9},
        "a/b": {"messages": 3, "last_received_ns": 9},
        "c": {"messages": 0, "last_received_ns": None},
    }


def test_filters_that_stay_keep_their_counts() -> None:
    arrivals = Arrivals(["a", "b"])
    arrivals.note(records("a", "b"))
    arrivals.now_of(["b", "c"])
    arrivals.note(records("a", "b"))
    assert {name: fact["messages"] for name, fact in arrivals.facts().items()} == {"b": 2, "c": 0}


def test_a_million_topics_cost_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.mqtt_subscriptions._TOPICS_MAX", 10)
    arrivals = Arrivals(["#"])
    for number in range(100):
        arrivals.note(records(f"t/{number}"))
    assert arrivals.facts()["#"]["messages"] == 100
    assert len(arrivals._known) <= 10


def test_what_was_ever_asked_for_is_known_until_it_is_unsubscribed(tmp_path: Path) -> None:
    def known() -> Subscriptions:
        return Subscriptions(Kept(tmp_path / "s.json", "me"))

    first = known()
    first.ask(["a", "b"])  # and killed before the broker answered
    assert known().surplus(["b", "c"]) == ["a"]
    second = known()
    second.ask(["b", "c"])
    second.settled(["b", "c"])
    assert known().surplus(["c"]) == ["b"]
    third = known()
    third.forget()
    assert third.surplus([]) == []


def test_each_session_has_its_own_and_going_back_finds_it(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    Subscriptions(Kept(path, "one")).ask(["a"])
    Subscriptions(Kept(path, "two")).ask(["b"])
    assert Subscriptions(Kept(path, "one")).surplus([]) == ["a"]
    assert Subscriptions(Kept(path, "three")).surplus([]) == []


def test_a_disk_that_takes_nothing_does_not_stop_a_subscription(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    subscriptions = Subscriptions(Kept(tmp_path / "file" / "s.json", "me"))
    subscriptions.ask(["a"])
    assert subscriptions.surplus([]) == ["a"]
