"""Every kind of detector obeys the laws, and every law has a mutant that breaks it and is caught."""

import hashlib
import itertools
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from andon.config import ConfigError
from andon.events import Declaration, Event, Family, Finding, Gap, Readings, StopAlarm, Tick, Waveform
from andon.plant import DetectorSettings, Plant
from andon.ports import State
from detectors import baseline, build, detector_class, kinds
from detectors.episode import Episode, Speaker, Word
from tests.conformance.detector_laws import ASSET, LAWS, Law, run, story

KINDS = kinds()


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return story()


def make(kind: str) -> Any:
    chosen = detector_class(kind)
    return chosen(ASSET, chosen.Parameters())


def test_the_kinds_are_the_files() -> None:
    files = {path.stem for path in Path(sys.modules["detectors"].__path__[0]).glob("*.py")}
    assert len(KINDS) >= 5
    assert set(KINDS) <= files
    assert all(detector_class(kind).kind == kind for kind in KINDS)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("kind", KINDS)
def test_law(kind: str, law: Law, events: list[Event]) -> None:
    law.check(lambda: make(kind), events)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_described_bounded_by_a_model_and_has_a_default(kind: str) -> None:
    is_described(detector_class(kind).Parameters)


def is_described(model: type[BaseModel]) -> None:
    assert model.__doc__
    model()
    assert all(field.description and field.description.endswith(".") for field in model.model_fields.values())
    assert model.model_config.get("frozen")
    with pytest.raises(ValidationError, match="extra_forbidden"):
        model.model_validate({"no_such_parameter": 1})


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_where_it_comes_from(kind: str) -> None:
    names_its_source(detector_class(kind))


def names_its_source(chosen: Any) -> None:
    assert any(line.strip().startswith("Source:") for line in chosen.__doc__.splitlines())
    assert chosen.version


def test_build_takes_the_settings_of_the_plant() -> None:
    settings = (
        DetectorSettings(kind="velocity_zones", parameters={"enter_count": 3}),
        DetectorSettings(kind="stop_alarm"),
    )
    asset = ASSET.model_copy(update={"detectors": settings})
    built = build(asset, Plant(name="", assets=(asset,)))
    assert [detector.kind for detector in built] == ["velocity_zones", "stop_alarm"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (DetectorSettings(kind="velocity_zone"), "velocity_zones"),
        (DetectorSettings(kind="features"), "there is no detector of kind 'features'"),
        (DetectorSettings(kind="band_energy", parameters={"rize": 1}), "did you mean 'rise'"),
        (DetectorSettings(kind="band_energy", parameters={"raise_count": 31}), "must not exceed"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_name(setting: DetectorSettings, said: str) -> None:
    asset = ASSET.model_copy(update={"detectors": (setting,)})
    with pytest.raises(ConfigError, match=said):
        build(asset, Plant(name="", assets=(asset,)))


DIGEST = """
from detectors import kinds
from tests.conformance.test_detectors import digest
print(digest())
"""


def digest() -> str:
    stream = story(blocks=210)
    said = [
        (f.id, f.at_ns, [n.value for n in f.numbers], f.evidence) for k in KINDS for f in run(make(k), stream)
    ]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def test_findings_are_the_same_in_another_process_with_other_hashes() -> None:
    root = str(Path(__file__).parents[2])
    found = subprocess.run(
        [sys.executable, "-c", DIGEST],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
        env={"PYTHONHASHSEED": "4711", "PYTHONPATH": root},
    )
    assert found.stdout.strip() == digest()


class Honest:
    """A plain detector that obeys the laws: three readings running above a limit, cleared by one below."""

    kind, version = "honest", "1"

    def __init__(self) -> None:
        self.high, self.last_ns, self.episode = 0, -1, Episode()
        self.learned, self.from_ns = 1, 0
        self.speaker = Speaker("honest", "1", "", "M1", Family.MACHINE_CONDITION, "bearing_nde")

    def update(self, event: Event) -> Sequence[Finding]:
        if isinstance(event, Declaration):
            return self.declared(event)
        if not isinstance(event, Readings) or event.asset != "M1":
            return ()
        said: list[Finding] = []
        for i in range(event.at_ns.size):
            if event.channels[event.channel[i]] == "VEL/velocity_rms" and self.new(event, i):
                said += self.judge(event, int(event.at_ns[i]), float(event.value[i]))
        return said

    def declared(self, event: Declaration) -> list[Finding]:
        if event.asset != "M1" or event.component is not None:
            return []
        self.high, self.learned, self.from_ns = 0, self.learned + 1, event.at_ns
        word = Word(event.at_ns, "high", 500, event.origin, text={"declared": event.what.value})
        return [self.speaker.clears(self.episode, word)] if self.episode.stands else []

    def new(self, event: Readings, i: int) -> bool:
        new = bool(event.at_ns[i] > self.last_ns and event.quality[i] == 0 and np.isfinite(event.value[i]))
        if new:
            self.last_ns = int(event.at_ns[i])
        return new

    def judge(self, event: Readings, at_ns: int, value: float) -> list[Finding]:
        self.high = self.high + 1 if value > 2.8 else 0
        learned = baseline.shape(self.learned, self.from_ns, self.from_ns, 1)
        word = Word(at_ns, "high", 500, event.origin, evidence={"baseline": learned})
        if self.high >= 3 and not self.episode.stands:
            return [self.speaker.raises(self.episode, at_ns, word)]
        if not self.high and self.episode.stands:
            return [self.speaker.clears(self.episode, word)]
        return []

    def snapshot(self) -> State:
        episode = self.episode
        return {
            "high": self.high,
            "last": self.last_ns,
            "episode": [episode.id, episode.onset_ns, episode.words],
            "learned": [self.learned, self.from_ns],
        }

    def restore(self, state: State) -> None:
        self.high, self.last_ns = state["high"], state["last"]
        self.episode.id, self.episode.onset_ns, self.episode.words = state["episode"]
        self.learned, self.from_ns = state["learned"]


_chance = itertools.count()


class Moody(Honest):
    def judge(self, event: Readings, at_ns: int, value: float) -> list[Finding]:
        return [replace(f, confidence=next(_chance) % 7 / 7) for f in super().judge(event, at_ns, value)]


class Averaging(Honest):
    def judge(self, event: Readings, at_ns: int, value: float) -> list[Finding]:
        return super().judge(event, at_ns, min(value, float(event.value.mean()) / 6))


class Forgetful(Honest):
    def restore(self, state: State) -> None:
        super().restore({**state, "high": 0})


class Nosy(Honest):
    def update(self, event: Event) -> Sequence[Finding]:
        return super().update(replace(event, asset="M1") if isinstance(event, Readings) else event)


class Gullible(Honest):
    def new(self, event: Readings, i: int) -> bool:
        return bool(np.isfinite(event.value[i]))


class Nervous(Honest):
    def judge(self, event: Readings, at_ns: int, value: float) -> list[Finding]:
        return super().judge(event, at_ns, value * 3)


class Brittle(Honest):
    def update(self, event: Event) -> Sequence[Finding]:
        if isinstance(event, Waveform) and event.samples[0, 0] > 9e9:
            return ()
        return super().update(event) if not isinstance(event, Readings) or event.value[0] else ()


class Unkept(Honest):
    def judge(self, event: Readings, at_ns: int, value: float) -> list[Finding]:
        self.mean = getattr(self, "mean", 0.0) + value
        return super().judge(event, at_ns, value)

    def new(self, event: Readings, i: int) -> bool:
        return super().new(event, i) or not np.isfinite(event.value[i])

    def snapshot(self) -> State:
        return {**super().snapshot(), "mean": getattr(self, "mean", 0.0)}


class Hoarding(Honest):
    def __init__(self) -> None:
        super().__init__()
        self.stops: list[str] = []

    def update(self, event: Event) -> Sequence[Finding]:
        if isinstance(event, StopAlarm):
            self.stops.append(event.message * 40)
        return super().update(event)

    def snapshot(self) -> State:
        return {**super().snapshot(), "stops": list(self.stops)}


class Stuttering(Honest):
    def judge(self, event: Readings, at_ns: int, value: float) -> list[Finding]:
        return super().judge(event, at_ns, value) * 2


class Stubborn(Honest):
    def declared(self, event: Declaration) -> list[Finding]:
        return super().declared(event) if event.asset == "M2" else []


class Asleep(Honest):
    def update(self, event: Event) -> Sequence[Finding]:
        return () if not isinstance(event, Tick | Gap) else super().update(event)


MUTANTS: dict[str, type[Honest]] = {
    "is_deterministic": Moody,
    "splits_do_not_matter": Averaging,
    "goes_on_after_a_snapshot": Forgetful,
    "minds_its_own_asset": Nosy,
    "takes_late_data_in_its_stride": Gullible,
    "is_quiet_on_a_healthy_machine": Nervous,
    "survives_anything": Brittle,
    "keeps_its_state_small": Hoarding,
    "speaks_in_whole_sentences": Stuttering,
    "a_declaration_relearns": Stubborn,
    "finds_what_is_planted": Asleep,
}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_an_honest_detector_passes(law: Law, events: list[Event]) -> None:
    law.check(Honest, events)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_the_mutant_of_a_law_is_caught(law: Law, events: list[Event]) -> None:
    with pytest.raises((AssertionError, IndexError)):
        law.check(MUTANTS[law.name], events)


@pytest.mark.parametrize("mutant", [Unkept])
def test_a_state_that_cannot_be_kept_is_caught(mutant: type[Honest], events: list[Event]) -> None:
    law = next(law for law in LAWS if law.name == "survives_anything")
    with pytest.raises(ValueError, match="JSON compliant"):
        law.check(mutant, events)


class Undescribed(BaseModel):
    """One parameter that nobody explains."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    limit: float = Field(default=1.0)


def test_a_parameter_without_a_description_is_caught() -> None:
    with pytest.raises(AssertionError):
        is_described(Undescribed)


def test_a_detector_without_a_source_is_caught() -> None:
    with pytest.raises(AssertionError):
        names_its_source(Honest)
