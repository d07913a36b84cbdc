"""`andon bench ingest` on its smallest scale: that it measures all it says, and that nothing it sent is missing."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from andon.benches import ingest, messages
from andon.benches.load import Load
from andon.benches.messages import Program, cost_us
from andon.benches.subjects import Subject, source
from andon.commands import Refused
from tests.mosquitto import needs_mosquitto, needs_mosquitto_clients


@needs_mosquitto
@needs_mosquitto_clients
def test_every_row_is_measured_and_says_what_it_is() -> None:
    told: list[str] = []
    rows = ingest.rows(ingest.TINY, told.append)
    assert len(told) == ingest.steps(ingest.TINY)
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    for program in messages.PROGRAMS:
        assert f"{program.name}, 200 B, QoS 1, 2 connections, saturated" in names
    assert all(row.value > 0 for row in rows)
    goals = {row.goal for row in rows}
    assert goals == {None, "G1", "G2", "G4", "G6"}
    assert all((row.met is None) == (row.limit is None) for row in rows)
    facts = json.loads(json.dumps([row.facts() for row in rows]))
    assert set(facts[0]) == {"name", "value", "unit", "versus", "ratio", "goal", "limit", "met"}


@contextlib.contextmanager
def forgetful() -> Iterator[Subject]:
    """A listener that says one message fewer than it has."""
    with source("listener", {"port": 0, "anonymous": True}) as subject:
        yield replace(subject, taken=lambda: subject.taken() - 1)


def test_a_program_that_keeps_fewer_messages_than_were_sent_has_no_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(messages, "WAIT_S", 0.3)
    program = Program("forgetful", lambda _port, _load: forgetful(), needs_broker=False)
    with pytest.raises(Refused, match="19 of 20 messages arrived"):
        cost_us(program, Load(0, count=20))


def test_what_is_missing_for_a_comparison_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(messages, "PROGRAM", None)
    assert "mosquitto is not installed" in messages.left_out()[0]
    left = {program.name for _, _, programs in messages.plan(messages.TINY) for program in programs}
    assert left == {"listener", "whole path"}
