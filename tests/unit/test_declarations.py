"""What a person declares reaches the detectors exactly once, at its place in the stream, wherever a crash comes between."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from decoder_words import T0, config, telemetry
from small_line import FLOOR, SmallLine

from andon import __main__, app, declarations
from andon.database import reading, writing
from andon.datadir import open_store
from andon.declarations import DeclarationRefused, Entry
from andon.events import SECOND_NS, Declaration, Declared, Event, Finding, Json
from andon.plant import Asset, Plant
from andon.ports import Record, RecordKind, State
from ingest.decode import MessageDecoder
from ingest.refusal import Reason

BEGINS, ENDS = Declared.MAINTENANCE_BEGINS, Declared.MAINTENANCE_ENDS
Heard = tuple[str, str, int]


class Probe:
    """A detector that only remembers what was declared to it."""

    def __init__(self, asset: Asset) -> None:
        self.asset = asset.id
        self.heard: list[Json] = []

    def update(self, event: Event) -> Sequence[Finding]:
        if isinstance(event, Declaration):
            self.heard.append([event.asset, str(event.what), event.id])
        return ()

    def snapshot(self) -> State:
        return {"heard": self.heard}

    def restore(self, state: State) -> None:
        self.heard = list(state["heard"])


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Probe]:
    """The newest probe of each asset, in place of its detectors."""
    made: dict[str, Probe] = {}

    def build(asset: Asset, _plant: Plant) -> list[Probe]:
        made[asset.id] = Probe(asset)
        return [made[asset.id]]

    monkeypatch.setattr(app, "build", build)
    return made


@pytest.fixture
def line(tmp_path: Path, probes: dict[str, Probe]) -> Iterator[SmallLine]:
    made = SmallLine(tmp_path / "data", "floor").configured()
    yield made
    for journal in made.journals.values():
        journal.close()


def declares(line: SmallLine, what: Declared, asset: str = "M1", **more: str) -> Entry:
    with writing(line.database) as conn:
        said = {"by": "wu.gang", "now_ns": line.now(), "note": "belt", **more}
        return declarations.ask(conn, asset=asset, what=what, **said)  # type: ignore[arg-type]


def entries(line: SmallLine) -> list[Entry]:
    with reading(line.database) as conn:
        return declarations.recent(conn, 99)


def record(**changes: Json) -> Record:
    said = {"id": 1, "asset": "M1", "component": None, "what": "repair", "by": "wu"} | changes
    return Record(RecordKind.DECLARATION, T0, b"", json.dumps(said).encode())


def test_it_is_heard_by_its_asset_alone_and_its_place_is_noted(
    line: SmallLine, probes: dict[str, Probe]
) -> None:
    asked = declares(line, Declared.REPAIR, component="DE-bearing", ticket="A-7")
    line.now.advance(T0 + 5 * SECOND_NS)
    assert line.engine.take_asked() == 1
    assert {name: probe.heard for name, probe in probes.items() if probe.heard} == {
        "M1": [["M1", "repair", asked.id]]
    }
    (taken,) = entries(line)
    assert (taken.at_ns, taken.position) == (T0 + 5 * SECOND_NS, line.journals["engine"].end() - 1)
    assert (taken.asset, taken.component, taken.by, taken.note, taken.ticket) == (
        *("M1", "DE-bearing", "wu.gang", "belt", "A-7"),
    )
    assert line.counts("engine")["declared"] == 1


def test_asked_once_is_taken_once(line: SmallLine, probes: dict[str, Probe]) -> None:
    declares(line, Declared.REPAIR)
    line.engine.take_asked()
    end = line.journals["engine"].end()
    assert line.engine.take_asked() == 0
    assert line.journals["engine"].end() == end
    assert len(probes["M1"].heard) == 1


@pytest.mark.parametrize(
    "when", ["before it is journaled", "before it is taken", "after it", "after a snapshot"]
)
def test_a_crash_at_any_place_leaves_it_taken_once(
    line: SmallLine, probes: dict[str, Probe], when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    declares(line, BEGINS)
    declares(line, Declared.REPAIR)

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    cut = {"before it is journaled": "note", "before it is taken": "_turn"}.get(when)
    if cut is not None:
        with monkeypatch.context() as patched:
            patched.setattr(line.engine, cut, power_cut)
            with pytest.raises(KeyboardInterrupt):
                line.engine.take_asked()
        assert [entry.position for entry in entries(line)] == [None, None]
    else:
        line.engine.take_asked()
    if when == "after a snapshot":
        line.engine.snapshot()
    digests = line.digests()
    again = line.killed()
    again.engine.take_asked()
    assert again.engine.differs == []
    assert again.digests()[: len(digests)] == digests
    assert [what for _, what, _ in probes["M1"].heard] == ["maintenance_begins", "repair"]
    assert again.counts("engine")["declared"] == 2
    assert all(entry.position is not None for entry in entries(again))
    line.journals = again.journals


def test_what_was_asked_is_taken_before_messages_are_given_up_on(
    line: SmallLine, probes: dict[str, Probe]
) -> None:
    line.receives("floor", telemetry(9.5, asset="M9", id="a")).works()
    declares(line, Declared.OPERATING_CHANGE)
    line.redrives()
    assert [what for _, what, _ in probes["M1"].heard] == ["operating_change"]
    assert [letter.reason for letter in line.letters()] == ["unknown_asset"]


def test_detectors_that_begin_anew_are_told_that_their_machine_is_maintained(
    line: SmallLine, probes: dict[str, Probe]
) -> None:
    declares(line, BEGINS)
    declares(line, BEGINS, asset="M2")
    line.engine.take_asked()
    declares(line, ENDS, asset="M2")
    line.engine.take_asked()
    line.engine.snapshot()
    again = line.killed()
    before = probes["M1"]
    changed = [{**asset, "criticality": "A"} for asset in FLOOR["assets"]]
    again.configured({**FLOOR, "version": 2, "assets": changed})
    assert probes["M1"] is not before
    assert [what for _, what, _ in probes["M1"].heard] == ["maintenance_begins"]
    assert probes["M2"].heard == []
    line.journals = again.journals


def test_maintenance_cannot_begin_twice_nor_end_unbegun(line: SmallLine) -> None:
    with pytest.raises(DeclarationRefused) as refused:
        declares(line, ENDS)
    assert refused.value.code == "maintenance_not_begun"
    declares(line, BEGINS)
    with pytest.raises(DeclarationRefused, match=r"begun already, declared by wu\.gang"):
        declares(line, BEGINS)
    declares(line, BEGINS, asset="M2")
    declares(line, ENDS)
    with reading(line.database) as conn:
        assert list(declarations.maintained(conn)) == ["M2"]


@pytest.mark.parametrize(
    ("asset", "component", "what", "said"),
    [
        ("m1", None, Declared.REPAIR, "did you mean 'M1'"),
        ("M1", "DE-bering", Declared.REPAIR, "did you mean 'DE-bearing'"),
        ("zzz", None, BEGINS, "there is: M1, M2, Press-07"),
        ("M1", "DE-bearing", BEGINS, "leave out the component"),
    ],
)
def test_what_the_plant_does_not_know_is_refused_with_what_was_meant(
    asset: str, component: str | None, what: Declared, said: str
) -> None:
    with pytest.raises(DeclarationRefused, match=said):
        declarations.check(Plant.model_validate(FLOOR), asset, component, what)


@pytest.mark.parametrize("more", [{"by": "  "}, {"by": "x" * 201}, {"note": "x" * 4001}, {"note": "a\0b"}])
def test_what_no_record_can_hold_is_refused_before_it_is_asked(line: SmallLine, more: dict[str, str]) -> None:
    with pytest.raises(DeclarationRefused) as refused:
        declares(line, Declared.REPAIR, **more)
    assert refused.value.code == "declaration_unusable"
    assert entries(line) == []


def test_the_longest_that_can_be_asked_for_can_be_taken(line: SmallLine) -> None:
    declares(line, Declared.REPAIR, by="\u7ef4" * 200, note='"' * 4000)
    line.engine.take_asked()
    assert line.letters() == []
    assert entries(line)[0].position is not None


@pytest.mark.parametrize("changes", [{"what": "magic"}, {"asset": ""}, {"by": 4}, {"id": -1}, {"id": None}])
def test_a_record_that_says_nothing_clear_is_a_dead_letter(changes: dict[str, Json]) -> None:
    decoded = MessageDecoder().decode("engine", 0, [config(), record(**changes), record()])
    assert [letter.reason for letter in decoded.dead_letters] == [Reason.RECORD_CORRUPT]
    (said,) = [event for event in decoded.events if isinstance(event, Declaration)]
    assert (said.origin.position, said.note, said.ticket) == (2, "", None)


def andon(*arguments: object) -> int:
    return __main__.main([str(argument) for argument in arguments])


def test_history_told_again_is_identical_and_has_the_declarations(line: SmallLine, tmp_path: Path) -> None:
    line.receives("floor", telemetry(1.0)).works()
    declares(line, BEGINS)
    line.engine.take_asked()
    line.receives("floor", telemetry(2.0, at_ns=T0 + SECOND_NS)).works()
    declares(line, ENDS, note="done")
    line.engine.take_asked()
    line.works()
    told, out = tmp_path / "told", tmp_path / "r.json"
    assert andon("replay", "--journal", line.data, "--data", told, "--json", out) == 0
    assert json.loads(out.read_text())["identical"]
    with reading(open_store(told)) as conn:
        again = declarations.recent(conn, 99)
    said = [(e.id, e.what, e.by, e.note, e.at_ns, e.position) for e in again]
    assert said == [(e.id, e.what, e.by, e.note, e.at_ns, e.position) for e in entries(line)]
    assert len(said) == 2
