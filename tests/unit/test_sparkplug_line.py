"""Sparkplug through the flow: what is historical is stored and never judged, and what was refused can come again."""

from collections.abc import Sequence

import pytest

from andon.events import Event, Finding, Readings, StopAlarm, Waveform
from andon.pipeline import Batch, Outcome, Pipeline, Slice
from andon.ports import State
from andon.redrive import IDENTIFIED, REDRIVEN
from detectors.features import features_of
from ingest.decode import MessageDecoder
from simulators.sparkplug import EdgeNode, Metric, Said
from tests.unit.decoder_words import T0, block, config, message
from tests.unit.test_sparkplug_host import Story, at, machine, read, reasons

MS = 1_000_000
AHEAD_MS = 200_000  # newer than all live values, and no clock's fault yet


class Ear:
    """A detector that remembers what it was given to judge."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def update(self, event: Event) -> Sequence[Finding]:
        if isinstance(event, Readings | Waveform | StopAlarm):
            self.heard.append(event)
        return ()

    def snapshot(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        """There is nothing to restore."""


class Line:
    """A pipeline with one ear per machine."""

    def __init__(self) -> None:
        self.ears: dict[str, Ear] = {}
        self.pipeline = Pipeline(
            MessageDecoder(), features_of, lambda asset, _: [self.ears.setdefault(asset.id, Ear())]
        )
        self._batch = 0
        self._step("engine", [config()])

    def hears(self, *said: Said) -> Outcome:
        return self._step("s", [message(topic.encode(), body, T0) for topic, body in said])

    def _step(self, source: str, records: list) -> Outcome:
        self._batch += 1
        return self.pipeline.step(Batch(self._batch, (Slice(source, self._batch * 100, records),)))

    def judged(self) -> list[float]:
        """The values that a detector of M1 was given."""
        return [
            float(v) for event in self.ears["M1"].heard if isinstance(event, Readings) for v in event.value
        ]


def test_a_historical_value_is_stored_and_judged_by_nobody_though_it_is_the_newest() -> None:
    line, node = Line(), machine()
    line.hears(*node.births(at(0)))
    past = Metric("", 99.0, at(AHEAD_MS), alias=1, is_historical=True)
    outcome = line.hears(node.data("M1", at(1), past))
    assert [block.value.tolist() for block in outcome.readings] == [[99.0]]
    assert line.judged() == [20.0]
    line.hears(node.data("M1", at(2), Metric("", 21.0, at(2), alias=1)))
    assert line.judged() == [20.0, 21.0], "and what is older than it and live is no late word"
    assert outcome.counts["s"]["historical"] == 1


@pytest.mark.parametrize("historical", [True, False])
def test_a_historical_waveform_gives_features_that_nobody_judges(historical: bool) -> None:
    line, node = Line(), EdgeNode("Plant", "Gateway", {"M1": []})
    line.hears(*node.births(at(0)))
    samples = [int(1000 * (-1) ** n) for n in range(512)]
    wave = Metric("vib", block(samples, rate_hz=25_600.0), at(1), is_historical=historical)
    outcome = line.hears(node.data("M1", at(1), wave))
    assert outcome.readings, "its features are stored"
    assert bool(line.ears["M1"].heard) is not historical


def redriven(story: Story, said: Said) -> list[str]:
    topic, body = said
    record = message(topic.encode(), body, T0, flags=REDRIVEN | IDENTIFIED)
    decoded = story.decoder.decode("s", 0, [record])
    return reasons(decoded) or [str(value) for _, _, value, _ in read(decoded)]


def test_a_refused_message_that_comes_again_is_used_and_changes_nothing_else() -> None:
    story = Story()
    story.is_born()
    story.node.devices["M9"] = [Metric("DE/temperature", 1.0, at(0), alias=2)]
    refused = story.node.data(
        "M1",
        at(1),
        Metric("XX/temperature", 1.0, at(1)),
    )
    assert reasons(story.hears(refused)) == ["unknown_point"]
    story.hears(story.temperature(21.0, 2))
    mended = story.node.topic("DDATA", "M1"), refused[1].replace(b"XX/", b"DE/")
    assert redriven(story, mended) == ["1.0"]
    after = story.hears(story.temperature(22.0, 3))
    assert [row[2] for row in read(after)] == [22.0]
    assert not story.ticks(60_000).events[:-1], "no hole, no gap: its number was counted when it came"


def test_a_message_of_before_the_birth_that_we_know_is_not_read_with_that_births_aliases() -> None:
    story = Story()
    early = story.temperature(21.0, -10)
    assert reasons(story.hears(early)) == ["sparkplug_no_birth"]
    story.is_born()
    assert redriven(story, early) == ["sparkplug_no_birth"]
    assert redriven(story, story.node.will(at(0))) == [], "a death that is long past kills nobody"
    assert [row[2] for row in read(story.hears(story.temperature(22.0, 3)))] == [22.0]
