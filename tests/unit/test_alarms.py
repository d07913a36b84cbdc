"""One alarm: the table of ISA-18.2, order that makes no difference, chattering."""

import json
import re
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from andon.events import MINUTE_NS, SECOND_NS
from andon.plant import Plant
from andon.rules.alarms import AlarmDefinition, Chattering, Count, Fleeting
from api import alarms as routes
from tests.unit.test_detector_docs import DOCS, chapters
from tests.unit.test_settings_docs import default_of
from ticketing.alarms import (
    HELD_BACK,
    RING,
    TABLE,
    Alarm,
    AlarmState,
    AlarmStep,
    Given,
    NoSuchStep,
    Span,
    Transition,
    Word,
    chattering,
    do,
    heard,
)

DOCUMENTED = {
    "An alarm": AlarmDefinition,
    "A fleeting alarm": Fleeting,
    "A count": Count,
    "Chattering": Chattering,
}
S, T = AlarmState, AlarmStep
HEARD = {T.RAISE, T.RAISE_GRAVER, T.CLEAR}
SECOND = SECOND_NS
USUAL = Chattering()


@pytest.mark.parametrize("place", DOCUMENTED)
def test_each_setting_of_an_alarm_is_written_down_with_its_default(place: str) -> None:
    said = {row[0]: row[1] for row in chapters("alarms.md")[place]}
    fields = DOCUMENTED[place].model_fields
    assert said == {name: default_of(field).strip("`") or "empty" for name, field in fields.items()}


def test_the_states_the_example_and_the_routes_are_written_down() -> None:
    text = (DOCS / "alarms.md").read_text("utf-8")
    assert [row[0] for row in chapters("alarms.md")["The states"]] == [str(state) for state in AlarmState]
    example = json.loads(re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0])
    assert AlarmDefinition.model_validate(example).holds_back
    served = {f"{method} /api/v1{route.path}" for route in routes.router.routes for method in route.methods}
    assert {
        said.replace("{id}", "{alarm_id}") for said in re.findall(r"`((?:GET|POST) [^`]+)`", text)
    } == served


def test_a_critical_alarm_cannot_be_given_a_delay_and_codes_are_used_once() -> None:
    with pytest.raises(ValueError, match="never held back"):
        AlarmDefinition(code="A", priority="critical", on_delay_s=5)
    with pytest.raises(ValueError, match="twice: A"):
        Plant(name="P", alarms=(AlarmDefinition(code="A"), AlarmDefinition(code="A")))


@dataclass
class Told:
    """An alarm that words are told to, with what was ever heard of each episode, as the store keeps it."""

    alarm: Alarm = field(default_factory=Alarm)
    last: dict[tuple[str, bool], int] = field(default_factory=dict)

    def hears(self, at_ns: int, *, over: bool = False, episode: str = "", severity: int = 500) -> Alarm:
        self.last[episode, over] = max(at_ns, self.last.get((episode, over), at_ns))
        raised, ended = self.last.get((episode, False)), self.last.get((episode, True))
        stands = raised is not None and (ended is None or raised > ended)
        word = Word(at_ns, over, episode)
        self.alarm = heard(self.alarm, word, stands=stands, severity=0 if over else severity)
        return self.alarm


def at(state: AlarmState) -> Alarm:
    """An alarm in that state, live where that can be chosen."""
    told = Told()
    if state in {S.UNACK, S.ACKED, S.RTNUN}:
        told.hears(1)
    match state:
        case S.ACKED:
            return do(told.alarm, T.ACKNOWLEDGE, Given(2, by="chen"))
        case S.RTNUN:
            return told.hears(2, over=True)
        case S.SHLVD:
            return do(told.alarm, T.SHELVE, Given(2, until_ns=9))
        case S.DSUPR:
            return do(told.alarm, T.SUPPRESS, Given(2, reason="window"))
        case S.OOSRV:
            return do(told.alarm, T.REMOVE_FROM_SERVICE, Given(2, reason="sensor away"))
    return told.alarm


def taken(alarm: Alarm, step: AlarmStep) -> Alarm:
    if step is T.CLEAR:
        return heard(alarm, Word(10, True, ""), stands=False)
    if step in HEARD:
        return heard(alarm, Word(10, False, ""), stands=True, severity=900 if step is T.RAISE_GRAVER else 500)
    return do(alarm, step, Given(10, by="chen", reason="window", until_ns=20))


@pytest.mark.parametrize("step", AlarmStep)
@pytest.mark.parametrize("state", AlarmState)
def test_the_table_of_the_standard(state: AlarmState, step: AlarmStep) -> None:
    alarm = at(state)
    assert alarm.state is state
    if (state, step) not in TABLE:
        with pytest.raises(NoSuchStep) as refused:
            taken(alarm, step)
        assert set(refused.value.allowed) == {s for s in AlarmStep if (state, s) in TABLE} - HEARD
        return
    leads = TABLE[state, step]
    assert taken(alarm, step).state is (S.NORM if leads is None else leads)


@pytest.mark.parametrize(
    ("away", "back"),
    [(T.SHELVE, T.UNSHELVE), (T.SUPPRESS, T.UNSUPPRESS), (T.REMOVE_FROM_SERVICE, T.RETURN_TO_SERVICE)],
)
def test_what_was_held_back_returns_by_its_live_condition(away: AlarmStep, back: AlarmStep) -> None:
    told = Told(taken(at(S.NORM), away))
    assert taken(told.hears(10), back).state is S.UNACK
    assert taken(told.hears(11, over=True), back).state is S.NORM
    assert taken(taken(at(S.ACKED), away), back).state is S.UNACK


def test_what_several_hold_back_is_free_when_the_last_lets_go() -> None:
    alarm = at(S.UNACK)
    for reason in ("first window", "second window"):
        alarm = do(alarm, T.SUPPRESS, Given(2, reason=reason))
    alarm = do(alarm, T.SHELVE, Given(3, until_ns=9))
    alarm = do(alarm, T.UNSUPPRESS, Given(4, reason="first window"))
    assert alarm.state is S.DSUPR
    alarm = do(alarm, T.UNSUPPRESS, Given(5, reason="second window"))
    assert alarm.state is S.SHLVD
    assert do(alarm, T.UNSHELVE, Given(6)).state is S.UNACK


def test_a_graver_word_asks_for_a_person_again() -> None:
    told = Told()
    told.hears(1, severity=400)
    told.alarm = do(told.alarm, T.ACKNOWLEDGE, Given(2, by="chen"))
    assert told.hears(3, severity=400).state is S.ACKED
    assert told.hears(4, severity=700).state is S.UNACK


def test_a_clear_that_comes_before_its_raise() -> None:
    told = Told()
    assert told.hears(20, over=True).state is S.NORM
    assert told.hears(10).state is S.RTNUN
    assert told.alarm.spans() == [Span(10, 20)]
    assert told.alarm.activations == 1


def test_episodes_that_overlap_are_one_activation() -> None:
    told = Told()
    for at_ns, over, episode in ((1, False, "a"), (2, False, "b"), (3, True, "a"), (5, True, "b")):
        told.hears(at_ns, over=over, episode=episode)
    assert told.alarm.spans() == [Span(1, 5)]


def test_what_is_said_again_and_again_takes_no_room() -> None:
    often, told = Told(), Told()
    for n in range(1000):
        often.hears(n + 1)
        told.hears(n * MINUTE_NS + 1)
    assert len(often.alarm.words) <= RING
    assert len(told.alarm.words) <= 12
    assert (told.alarm.activations, told.alarm.active_since_ns) == (1, 1)


def test_the_ring_is_bounded_and_still_counts() -> None:
    told = Told()
    for n in range(200):
        told.hears(n * 2 * MINUTE_NS)
        told.hears(n * 2 * MINUTE_NS + SECOND, over=True)
    assert len(told.alarm.words) == RING
    assert told.alarm.activations == 200


WORDS = st.lists(
    st.tuples(st.integers(0, 60), st.booleans(), st.sampled_from("ab")), min_size=1, max_size=12, unique=True
)


def _plain(words: list[tuple[int, bool, str]]) -> tuple[list[tuple[int, bool]], set[str]]:
    """When the alarm changed and what stands in the end, told by going through all words in order: the reference."""
    first = {}
    for _, over, episode in sorted(words):
        first.setdefault(episode, over)
    active = {episode for episode, over in first.items() if over}
    changes = []
    for at_ns, over, episode in sorted(words):
        before = bool(active)
        (active.discard if over else active.add)(episode)
        if bool(active) != before:
            changes.append((at_ns, not before))
    return changes, active


@given(words=WORDS)
@settings(max_examples=150, deadline=None)
def test_words_in_order_give_the_changes_of_the_reference(words) -> None:
    told = Told()
    for at_ns, over, episode in sorted(words):
        told.hears(at_ns, over=over, episode=episode)
    changes, standing = _plain(words)
    assert [tuple(one) for one in told.alarm.transitions()] == changes
    assert told.alarm.standing == standing


@given(words=WORDS, seed=st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_the_order_of_arrival_makes_no_difference(words, seed) -> None:
    """Whatever comes first, the state is the same; and so are the activations where nothing is said twice in a row."""
    alternating = []
    for episode in "ab":
        mine = sorted({one[0] for one in words if one[2] == episode})
        alternating += [(at_ns, n % 2 == 1, episode) for n, at_ns in enumerate(mine)]
    ordered, shuffled = Told(), Told()
    for at_ns, over, episode in sorted(alternating):
        ordered.hears(at_ns, over=over, episode=episode)
    Random(seed).shuffle(alternating)  # noqa: S311 - an order, no secret
    for at_ns, over, episode in alternating:
        shuffled.hears(at_ns, over=over, episode=episode)
    one, other = ordered.alarm, shuffled.alarm
    assert (one.state, one.standing, one.active_since_ns) == (
        other.state,
        other.standing,
        other.active_since_ns,
    )
    assert one.transitions() == other.transitions()


class TestChattering:
    def changes(self, *seconds: float) -> list[Transition]:
        return [Transition(round(s * SECOND), n % 2 == 0) for n, s in enumerate(seconds)]

    def test_three_activations_in_a_minute(self) -> None:
        found = chattering(self.changes(0, 1, 30, 31, 60), USUAL)
        assert found == (60 * SECOND, (31 + 600) * SECOND)
        assert chattering(self.changes(0, 1, 30, 31, 60.001), USUAL) is None

    def test_more_than_five_transitions_in_five_minutes(self) -> None:
        assert chattering(self.changes(0, 75, 150, 225, 300), USUAL) is None
        assert chattering(self.changes(0, 75, 150, 225, 290, 300), USUAL) is not None

    def test_it_calms_when_fewer_than_two_transitions_lie_within_ten_minutes(self) -> None:
        told = Told()
        for second in (0, 20, 40):
            told.hears(second * SECOND)
            told.hears((second + 5) * SECOND, over=True)
        calm_ns = (40 + 600) * SECOND
        assert told.alarm.chatters_at(calm_ns - 1)
        assert not told.alarm.chatters_at(calm_ns)
        assert told.hears(calm_ns - 1).chatters_at(calm_ns + 1)  # one more before: two lie within

    def test_after_calm_it_is_another_time(self) -> None:
        told = Told()
        for second in (0, 20, 40, 3600, 3620, 3640):
            told.hears(second * SECOND)
            told.hears((second + 5) * SECOND, over=True)
        assert told.alarm.chatters == 2
        assert told.alarm.chattering_since_ns == 3640 * SECOND


@dataclass
class Model:
    """ISA-18.2's figure 2 in the plainest words: flags, and no more."""

    live: bool = False
    waits: bool = False
    severity: int = 0
    shelved: bool = False
    windows: set[str] = field(default_factory=set)
    removed: bool = False

    @property
    def state(self) -> AlarmState:
        if self.removed:
            return S.OOSRV
        if self.windows:
            return S.DSUPR
        if self.shelved:
            return S.SHLVD
        return {
            (True, True): S.UNACK,
            (True, False): S.ACKED,
            (False, True): S.RTNUN,
            (False, False): S.NORM,
        }[self.live, self.waits]


class AlarmMachine(RuleBasedStateMachine):
    """Words and deeds in any order, against the model."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.told = Told()
        self.model = Model()

    def tick(self) -> int:
        self.now += SECOND
        return self.now

    @rule(severity=st.sampled_from((400, 700, 900)))
    def is_raised(self, severity: int) -> None:
        self.told.hears(self.tick(), severity=severity)
        if not self.model.live:
            self.model.live, self.model.waits, self.model.severity = True, True, severity
        elif severity > self.model.severity:
            self.model.waits, self.model.severity = True, severity

    @rule()
    def is_over(self) -> None:
        self.told.hears(self.tick(), over=True)
        self.model.live = False

    @rule(step=st.sampled_from(sorted(set(AlarmStep) - HEARD)), window=st.sampled_from("ab"))
    def is_done(self, step: AlarmStep, window: str) -> None:
        before = self.model.state
        given = Given(self.tick(), by="chen", reason=window, until_ns=self.now + 1)
        if (before, step) not in TABLE:
            with pytest.raises(NoSuchStep):
                do(self.told.alarm, step, given)
            return
        self.told.alarm = do(self.told.alarm, step, given)
        model = self.model
        match step:
            case T.ACKNOWLEDGE:
                model.waits = False
            case T.UNACKNOWLEDGE:
                model.waits = True
            case T.SHELVE | T.UNSHELVE:
                model.shelved = step is T.SHELVE
            case T.SUPPRESS:
                model.windows.add(window)
            case T.UNSUPPRESS:
                model.windows.discard(window)
            case _:
                model.removed = step is T.REMOVE_FROM_SERVICE
        if before in HELD_BACK and model.state not in HELD_BACK:
            model.waits = model.live

    @precondition(lambda self: self.told.alarm.words)
    @rule()
    def is_said_again(self) -> None:
        """What was heard is heard once more: nothing moves."""
        before = self.told.alarm
        last = before.words[-1]
        self.told.hears(last.at_ns, over=last.over, episode=last.episode, severity=0)
        assert self.told.alarm.state is before.state
        assert self.told.alarm.activations == before.activations

    @invariant()
    def agrees(self) -> None:
        assert self.told.alarm.state is self.model.state
        assert self.told.alarm.active is self.model.live

    @invariant()
    def spans_are_in_order(self) -> None:
        spans = self.told.alarm.spans()
        assert all(one.to_ns is not None and one.to_ns <= other.from_ns for one, other in pairwise(spans))
        assert bool(spans and spans[-1].to_ns is None) == self.told.alarm.active


TestAlarm = AlarmMachine.TestCase
TestAlarm.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
