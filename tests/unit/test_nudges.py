"""The engine looks at once where an alarm came, and otherwise rests between two looks."""

import socket
import time
from collections.abc import Iterator

import pytest

from andon.installation import free_port
from andon.nudges import NUDGE_EVERY_S, POLL_S, REST_MAX_S, REST_MIN_S, Nudged, Nudger
from andon.ports import Record, RecordKind

ALARM = Record(RecordKind.MESSAGE, 1, b"andon/v1/e/s/a/l/c/M1/_event/stop", b"{}")
VALUE = Record(RecordKind.MESSAGE, 1, b"andon/v1/e/s/a/l/c/M1/_telemetry/process", b"{}")
NOTICED_S = REST_MAX_S / 2
"""Far less than a whole rest, far more than a datagram needs on a busy machine."""


@pytest.fixture
def line() -> Iterator[tuple[Nudged, Nudger]]:
    port = free_port(socket.SOCK_DGRAM)
    with Nudged(port) as nudged, Nudger(port) as nudger:
        yield nudged, nudger


def rested_s(nudged: Nudged, worked_s: float = 10.0) -> float:
    began_s = time.monotonic()
    nudged.rest(worked_s)
    return time.monotonic() - began_s


def waited_s(nudged: Nudged) -> float:
    began_s = time.monotonic()
    nudged.wait()
    return time.monotonic() - began_s


def test_telemetry_does_not_end_a_rest(line: tuple[Nudged, Nudger]) -> None:
    nudged, nudger = line
    nudger([VALUE])
    assert rested_s(nudged) >= REST_MAX_S


@pytest.mark.parametrize("topic", [ALARM.topic, b"M1/_event"], ids=["mqtt", "opcua"])
def test_an_alarm_that_came_during_the_turn_ends_the_rest_at_once(
    line: tuple[Nudged, Nudger], topic: bytes
) -> None:
    nudged, nudger = line
    nudger([VALUE])
    nudger([VALUE, ALARM._replace(topic=topic)])
    nudger([VALUE])
    assert rested_s(nudged) < NOTICED_S


def test_an_alarm_is_told_once(line: tuple[Nudged, Nudger]) -> None:
    nudged, nudger = line
    nudger([ALARM])
    nudged.rest(1)
    assert rested_s(nudged) >= REST_MAX_S


def test_what_works_briefly_rests_briefly(line: tuple[Nudged, Nudger]) -> None:
    assert REST_MIN_S <= rested_s(line[0], 0.0001) < REST_MAX_S


def test_what_comes_ends_the_wait(line: tuple[Nudged, Nudger]) -> None:
    nudged, nudger = line
    nudger([VALUE])
    assert waited_s(nudged) < POLL_S / 2
    assert waited_s(nudged) >= POLL_S


def test_many_commits_are_few_nudges_and_the_next_look_is_after_the_last_of_them() -> None:
    """What is committed within a tenth of a rest after a nudge is not told: a rest has to be longer."""
    assert NUDGE_EVERY_S < REST_MIN_S
    port = free_port(socket.SOCK_DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard, Nudger(port) as nudger:
        heard.bind(("127.0.0.1", port))
        heard.setblocking(False)
        began_s = time.monotonic()
        for _ in range(1000):
            nudger([VALUE])
        most = 1 + (time.monotonic() - began_s) / NUDGE_EVERY_S
        count = 0
        try:
            while heard.recv(16):
                count += 1
        except BlockingIOError:
            pass
    assert 1 <= count <= most
