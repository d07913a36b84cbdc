"""What a Sparkplug host says: nothing unless asked to, rebirths seldom, and times that only grow."""

import json
from types import SimpleNamespace

import pytest

from ingest import sparkplug_voice
from ingest.sparkplug_voice import HostRole, Voice
from simulators.sparkplug import asks_for_rebirth

PRIMARY = HostRole(role="primary", rebirths_per_minute=5)


class Clock:
    """Seconds since the machine started, as a test tells them."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(sparkplug_voice, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


def voice(role: HostRole) -> Voice:
    return Voice(role, lambda: 1_700_000_000_000_000_000)


def test_a_passive_host_has_nothing_to_say(clock: Clock) -> None:
    quiet = voice(HostRole())
    assert not quiet.is_primary
    assert quiet.rebirth("Plant/Gateway") is None


@pytest.mark.parametrize("role", [PRIMARY, HostRole(rebirth=True)])
def test_an_edge_node_is_asked_once_in_a_while(clock: Clock, role: HostRole) -> None:
    asking = voice(role)
    told = []
    for _ in range(180):
        told.append(asking.rebirth("Plant/Gateway"))
        clock.now_s += 1.0
    said = [at for at, what in enumerate(told) if what is not None]
    assert said == [0, 60, 120]
    topic, body = told[0] or ("", b"")
    assert topic == "spBv1.0/Plant/NCMD/Gateway"
    assert asks_for_rebirth(body)


def test_all_edge_nodes_together_make_no_storm_and_none_is_forgotten(clock: Clock) -> None:
    asking, asked = voice(PRIMARY), list[tuple[float, str]]()
    edges = [f"Plant/E{number}" for number in range(20)]
    for _ in range(480):  # none of them ever answers
        asked += [(clock.now_s, edge) for edge in edges if asking.rebirth(edge) is not None]
        clock.now_s += 1.0
    assert {edge for _, edge in asked} == set(edges)
    for at_s, _ in asked:
        assert sum(at_s - 60 < other_s <= at_s for other_s, _ in asked) <= 5


def test_the_time_of_a_new_session_is_later_even_if_the_clock_is_not(clock: Clock) -> None:
    times = []
    host = voice(PRIMARY)
    for _ in range(3):
        topic, will = host.begin()
        assert topic == "spBv1.0/STATE/andon"
        born = json.loads(host.state(online=True)[1])
        assert born == {**json.loads(will), "online": True}, "will and birth carry the same time"
        times.append(born["timestamp"])
    assert times == sorted(set(times))


@pytest.mark.parametrize("body", [b'{"online":false,"timestamp":1}', b"OFFLINE", b"[]", b"\xff", b"{}"])
def test_who_says_that_we_are_away_is_answered_once_a_second(clock: Clock, body: bytes) -> None:
    host = voice(PRIMARY)
    host.begin()
    host.hear(body)
    assert host.answer() == host.state(online=True)
    host.hear(body)
    assert host.answer() is None, "two hosts of one name would answer each other for ever"
    clock.now_s += 1.0
    assert host.answer() == host.state(online=True)
    host.hear(b'{"online":true,"timestamp":1}')
    clock.now_s += 1.0
    assert host.answer() is None


@pytest.mark.parametrize("host_id", ["", "a/b", "a+", "#"])
def test_a_host_id_that_is_no_topic_level_is_refused(host_id: str) -> None:
    with pytest.raises(ValueError, match="host_id"):
        HostRole(host_id=host_id)
