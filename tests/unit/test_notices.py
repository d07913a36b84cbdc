"""What a source says of itself: once while it holds, taken back once, whatever died in between; and what becomes of it."""

import json
from pathlib import Path

from andon.events import Action, Finding, Readings, Waveform
from andon.pipeline import Batch, Pipeline, Slice
from andon.plant import Point
from andon.ports import Record
from ingest.decode import MessageDecoder
from ingest.notices import Notices
from ingest.own_records import notice


def said(records: list[Record]) -> list[tuple[str, bool, int]]:
    bodies = [json.loads(record.body) for record in records]
    assert {body["subject"] for body in bodies} <= {"plc"}
    return [(body["code"], body["active"], body["severity"]) for body in bodies]


def run_of(folder: Path) -> tuple[Notices, list[Record]]:
    records: list[Record] = []
    return Notices(folder, lambda: 7, records.append), records


def test_a_notice_is_said_once_and_again_only_when_it_is_another(tmp_path: Path) -> None:
    folder = tmp_path / "plc"
    folder.mkdir()
    notices, records = run_of(folder)
    notices.over("a")
    for severity, detail in ((500, "x"), (500, "x"), (500, "y"), (900, "y")):
        notices.say("a", severity, detail)
    notices.over("a")
    notices.over("a")
    assert said(records) == [("a", True, 500), ("a", True, 500), ("a", True, 900), ("a", False, 1)]


def test_a_run_that_died_leaves_its_notices_to_be_said_again_or_taken_back_by_the_next(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "plc"
    folder.mkdir()
    first, _ = run_of(folder)
    first.say("a", 500, "x")
    first.say("b", 500, "x")
    second, records = run_of(folder)
    second.say("a", 500, "x")
    second.over("b")
    second.over("b")
    assert said(records) == [("a", True, 500), ("b", False, 1)]


def findings(*told: tuple[bool, int]) -> list[Finding]:
    """What the line makes of notices `(active, at_ns)` of one thing, one batch each."""
    line = Pipeline(MessageDecoder(), _no_features, lambda *_: ())
    found: list[Finding] = []
    for position, (active, at_ns) in enumerate(told):
        record = notice("disk_full", "plc", at_ns, active=active, severity=950, detail="d")
        found += line.step(Batch(position + 1, [Slice("plc", position, [record])])).findings
    return found


def test_a_notice_is_one_finding_that_is_raised_updated_and_cleared() -> None:
    found = findings((False, 1), (True, 2), (True, 3), (False, 4), (False, 5), (True, 6))
    assert [(f.action, f.at_ns, f.onset_ns) for f in found] == [
        (Action.RAISE, 2, 2),
        (Action.UPDATE, 3, 2),
        (Action.CLEAR, 4, 2),
        (Action.RAISE, 6, 6),
    ]
    assert {(f.asset, f.component, f.condition) for f in found} == {("andon", "disk_full.plc", "disk_full")}


def test_each_word_of_a_notice_has_an_identity_of_its_own_or_its_end_would_pass_for_a_repetition() -> None:
    found = findings((True, 2), (True, 3), (False, 4))
    assert len({finding.id for finding in found}) == 3


def _no_features(waveform: Waveform, point: Point | None) -> Readings:
    raise AssertionError((waveform, point))
