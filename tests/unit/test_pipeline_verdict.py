"""The pipeline's verdict names the worst thing first, with its cure, and says that all is well only if it is."""

from dataclasses import replace
from typing import Any

import pytest

from api.catalogue import words_of
from api.channels import ChannelState
from api.flow import Rates, sources_of
from api.web.pipeline_verdict import Facts, troubles

EN = words_of("en")
RUNNING: dict[str, Any] = {"running": True, "status": {"connected": True}}
ENGINE = {"untaken": {"floor": 0}, "lag_s": 0.2, "disk_free_bytes": 60, "disk_bytes": 100}
ERP = ChannelState("erp", "webhook", "closed", 0, 0, None, None, "")


def facts(floor: dict[str, Any] = RUNNING, engine: dict[str, Any] = ENGINE, **more: Any) -> Facts:
    status = {"parts": {"engine": {"running": True, "status": engine}, "floor": floor}, **more}
    counted = {"source.floor": {"received": 3, "stored": 3}}
    sources = sources_of(counted, status, Rates(), 0)
    return Facts(status, sources, [ERP], given_up=0, open_gaps=0, letters={}, stale=0)


def test_nothing_is_said_of_what_is_well() -> None:
    assert troubles(facts(), EN) == []


@pytest.mark.parametrize(
    ("found", "worst", "cure"),
    [
        (facts({"running": False}), "floor", ""),
        (facts({"running": False, "quarantined": "3 crashes"}), "is held", "andon resume floor"),
        (facts({"running": True, "status": {"connected": False}}), "floor has no connection", "network"),
        (facts(engine={**ENGINE, "lag_s": 61, "untaken": {"floor": 9000}}), "9\u202f000 records wait", ""),
        (facts(engine={**ENGINE, "disk_free_bytes": 15}), "15 % of the disk", "sources stop"),
        (facts(engine={**ENGINE, "differs": [7]}), "Batch 7", "andon verify"),
        (facts(configuration_refused=True), "andon.toml was refused", "andon check"),
        (replace(facts(), channels=[replace(ERP, circuit="open")]), "Channel erp cannot", "wait"),
        (replace(facts(), channels=[replace(ERP, dead=2)]), "gave up messages: 2", "send them again"),
        (replace(facts(), given_up=3), "given up: 3", "try them again"),
        (replace(facts(), open_gaps=1), "one gap is open", "cause"),
        (replace(facts(), letters={"schema": 1, "unknown_asset": 9}), "10 messages", "plant document"),
        (replace(facts(), letters={"of_tomorrow": 1}), "One message", "take them anew"),
        (replace(facts(), stale=4), "without fresh data: 4", "sensor"),
        (replace(facts(), degraded=("moon: not full",)), "moon: not full", ""),
    ],
)
def test_each_thing_that_is_wrong_is_named_with_its_cure(found: Facts, worst: str, cure: str) -> None:
    (said,) = troubles(found, EN)
    assert worst in said.what
    assert cure in said.cure


def test_the_worst_comes_first_and_what_it_says_itself_is_not_said_twice() -> None:
    away = facts({"running": True, "status": {"connected": False}})
    said = troubles(replace(away, stale=4, letters={"schema": 1}, degraded=("floor: not connected",)), EN)
    assert [one.section for one in said] == ["sources", "letters", "freshness"]


def test_a_counter_that_does_not_balance_is_critical() -> None:
    sources = sources_of(
        {"source.floor": {"received": 5, "stored": 3}}, {"parts": {"floor": RUNNING}}, Rates(), 0
    )
    (said,) = troubles(replace(facts(), sources=sources), EN)
    assert (said.look, said.what) == ("critical", "floor does not balance: off by 2")
