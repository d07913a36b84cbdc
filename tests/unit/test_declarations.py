"""What a person declares reaches the detectors exactly once, at its place in the stream, wherever a crash comes between."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from decoder_words import T0, config, telemetry
from small_line import FLOOR, SmallLine

from andon import __main__, app, declarations
from andon.database import reading, writing
from andon.datadir import only_instance, open_store
from andon.declarations import DeclarationRefused, Entry
from andon.events import SECOND_NS, Declaration, Declared, Event, Finding, Json, Readings, rfc3339
from andon.plant import Asset, Plant
from andon.ports import Record, RecordKind, State
from ingest.decode import MessageDecoder
from ingest.refusal import Reason
from tests.scenario.story import condition, photo
from ticketing import store
from ticketing.demands import Ticks
from ticketing.errors import StepRefused
from ticketing.service import By, Tickets
from ticketing.ticket import Outcome, SubState

BEGINS, ENDS = Declared.MAINTENANCE_BEGINS, Declared.MAINTENANCE_ENDS
PEOPLE = [{"id": who, "name": who, "role": "technician"} for who in ("wu", "li")]


class Probe:
    """A detector that finds every reading too high, and remembers what was declared to it."""

    def __init__(self, asset: Asset) -> None:
        self.asset = asset.id
        self.heard: list[Json] = []

    def update(self, event: Event) -> Sequence[Finding]:
        if isinstance(event, Declaration):
            self.heard.append([event.asset, str(event.what), event.component, event.ticket])
        return [condition(self.asset, "zone_d", int(event.at_ns[0]))] if isinstance(event, Readings) else []

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


def words_of(probe: Probe) -> list[str]:
    return [what for _, what, _, _ in probe.heard]


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
        "M1": [["M1", "repair", "DE-bearing", "A-7"]]
    }
    (taken,) = entries(line)
    assert taken.id == asked.id
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
    assert words_of(probes["M1"]) == ["maintenance_begins", "repair"]
    assert again.counts("engine")["declared"] == 2
    assert all(entry.position is not None for entry in entries(again))
    line.journals = again.journals


def test_what_was_asked_is_taken_before_messages_are_given_up_on(
    line: SmallLine, probes: dict[str, Probe]
) -> None:
    line.receives("floor", telemetry(9.5, asset="M9", id="a")).works()
    declares(line, Declared.OPERATING_CHANGE)
    line.redrives()
    assert words_of(probes["M1"]) == ["operating_change"]
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
    assert words_of(probes["M1"]) == ["maintenance_begins"]
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


def by(line: SmallLine, actor: str, version: int) -> By:
    return {"actor": actor, "now_ns": line.now(), "expected_version": version}


def closed_as_repaired(line: SmallLine) -> tuple[Tickets, int]:
    """The ticket of a reading that was too high, worked on by Wu and signed for by Li; gives its version."""
    line.receives("floor", telemetry(9.5)).works()
    service = Tickets(line.database, photos=line.data / "photos")
    plant = Plant.model_validate({**FLOOR, "people": PEOPLE})
    service.assign(1, person="wu", backup="li", plant=plant, reason="r", **by(line, "wu", 1))
    service.accept(1, sub_state=SubState.SITE_SURVEY, **by(line, "wu", 2))
    service.add_photo(1, body=photo(), stage="repair", actor="wu", now_ns=line.now())
    done = service.resolve(
        1, summary="6205 replaced", cause="3.4", same_kind=False, plant=plant, **by(line, "wu", 3)
    )
    ticks = Ticks(True, True, True)
    return service, service.sign(1, ticks=ticks, plant=plant, **by(line, "li", done.version)).version


def test_a_repaired_tickets_accepted_proposal_reaches_the_detectors_of_its_machine(
    line: SmallLine, probes: dict[str, Probe]
) -> None:
    service, version = closed_as_repaired(line)
    after = service.relearn(1, **by(line, "li", version))
    assert (after.outcome, after.relearn, after.version) == (Outcome.FIXED, True, version + 1)
    assert probes["M1"].heard == []
    line.engine.take_asked()
    assert probes["M1"].heard == [["M1", "repair", "DE", "A-1"]]
    (entry,) = entries(line)
    assert (entry.by, entry.note) == ("li", "6205 replaced")
    with pytest.raises(StepRefused, match="answered"):
        service.keep_baseline(1, reason="r", **by(line, "li", after.version))


def test_a_declined_proposal_declares_nothing_and_its_reason_stays_on_record(
    line: SmallLine, probes: dict[str, Probe]
) -> None:
    service, version = closed_as_repaired(line)
    li = by(line, "li", version)
    with pytest.raises(StepRefused, match="reason"):
        service.keep_baseline(1, reason=" ", **li)
    assert service.keep_baseline(1, reason="nothing was replaced", **li).relearn is False
    assert line.engine.take_asked() == 0
    assert probes["M1"].heard == []
    with reading(line.database) as conn:
        detail = store.ticket(conn, 1)
    last = detail.events[-1]
    assert (last.action, last.reason, last.changes) == (
        *("keep_baseline", "nothing was replaced", {"relearn": [None, False]}),
    )
    assert detail.proposal is None


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


class TestTheCommand:
    def test_while_andon_stands_still_it_waits_for_the_start_and_says_so(
        self, line: SmallLine, capsys: pytest.CaptureFixture[str], probes: dict[str, Probe]
    ) -> None:
        repair = ("declare", "repair", "M1", "--component", "DE-bearing", "--by", "wu", "--note", "belt")
        assert andon(*repair, "--data", line.data) == 0
        assert "it is taken when it starts" in capsys.readouterr().out
        again = line.killed()
        again.engine.take_asked()
        assert probes["M1"].heard == [["M1", "repair", "DE-bearing", None]]
        line.journals = again.journals

    def test_while_andon_runs_it_is_heard_from_when_on_it_holds(
        self, line: SmallLine, tmp_path: Path, probes: dict[str, Probe]
    ) -> None:
        begin = ("declare", "maintenance-begins", "M1", "--data", line.data, "--json", tmp_path / "d.json")
        with only_instance(line.data), ThreadPoolExecutor(1) as beside:
            asking = beside.submit(andon, *begin)
            while not asking.done():
                line.engine.take_asked()
        assert asking.result() == 0
        said = json.loads((tmp_path / "d.json").read_text())
        assert (said["running"], said["taken"]) == (True, True)
        assert said["declaration"]["at"] == rfc3339(line.now())
        assert words_of(probes["M1"]) == ["maintenance_begins"]

    def test_the_list_shows_what_stands_and_what_was_said(self, line: SmallLine, tmp_path: Path) -> None:
        declares(line, BEGINS)
        declares(line, Declared.REPAIR, asset="M2")
        line.engine.take_asked()
        declares(line, Declared.OPERATING_CHANGE)
        assert andon("declare", "--list", "--data", line.data, "--json", tmp_path / "all.json") == 0
        told = json.loads((tmp_path / "all.json").read_text())
        assert [entry["asset"] for entry in told["maintenance"]] == ["M1"]
        assert [(entry["asset"], entry["what"], entry["at"] is None) for entry in told["declarations"]] == [
            ("M1", "operating_change", True),
            ("M2", "repair", False),
            ("M1", "maintenance_begins", False),
        ]
        assert andon("declare", "--list", "M2", "--data", line.data, "--json", tmp_path / "m2.json") == 0
        assert len(json.loads((tmp_path / "m2.json").read_text())["declarations"]) == 1

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("repair", "m2"), "did you mean 'M2'"),
            (("maintenance-ends", "M1"), "no maintenance of M1 has begun"),
            (("maintenance-begins", "M1", "--component", "DE-bearing"), "leave out the component"),
            (("repair",), "say what of which machine"),
        ],
    )
    def test_what_cannot_be_is_refused_with_the_cure(
        self, line: SmallLine, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert andon("declare", *words, "--data", line.data) == 1
        assert said in capsys.readouterr().err
        assert entries(line) == []

    def test_before_the_first_start_there_is_nothing_to_declare_of(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        open_store(tmp_path).dispose()
        assert andon("declare", "repair", "M1", "--data", tmp_path) == 1
        assert "start Andon once" in capsys.readouterr().err
