"""One alarm and its states (ISA-18.2-2016, 5.4 and figure 2; IEC 62682): what is said of it, by event time, and done to it.

An alarm is what one detector says about one cause (a key); each of its episodes raises and clears it. What machines say
is kept in a short ring ordered by event time, so that the order of arrival makes no difference: the same words give the
same activations. What people do counts from the moment that it is done.
"""

from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from andon.events import MINUTE_NS, SECOND_NS
from andon.frozen import changed
from andon.rules.alarms import Chattering

USUAL = Chattering()
LATE_NS = 10 * MINUTE_NS
"""What comes in another order within this time changes nothing."""
_FEW, RING = 12, 48
"""Words kept of an alarm: as many activations as any rule asks for, and their ends."""


class AlarmState(StrEnum):
    """The standard's seven."""

    NORM = "norm"
    UNACK = "unack"
    ACKED = "acked"
    RTNUN = "rtnun"
    SHLVD = "shlvd"
    DSUPR = "dsupr"
    OOSRV = "oosrv"


class AlarmStep(StrEnum):
    """What can happen to an alarm: the first three are heard, the others done."""

    RAISE = "raise"
    RAISE_GRAVER = "raise_graver"
    CLEAR = "clear"
    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    SUPPRESS = "suppress"
    UNSUPPRESS = "unsuppress"
    REMOVE_FROM_SERVICE = "remove_from_service"
    RETURN_TO_SERVICE = "return_to_service"


HELD_BACK = frozenset({AlarmState.SHLVD, AlarmState.DSUPR, AlarmState.OOSRV})
"""States in which nothing is told, whatever is heard."""

_S, _T = AlarmState, AlarmStep
_HEARD = (_T.RAISE, _T.RAISE_GRAVER, _T.CLEAR)
_AWAY: Mapping[AlarmStep, AlarmState] = {
    _T.SHELVE: _S.SHLVD,
    _T.SUPPRESS: _S.DSUPR,
    _T.REMOVE_FROM_SERVICE: _S.OOSRV,
}

TABLE: Mapping[tuple[AlarmState, AlarmStep], AlarmState | None] = {
    (_S.NORM, _T.RAISE): _S.UNACK,
    (_S.NORM, _T.RAISE_GRAVER): _S.UNACK,
    (_S.NORM, _T.CLEAR): _S.NORM,
    (_S.UNACK, _T.RAISE): _S.UNACK,
    (_S.UNACK, _T.RAISE_GRAVER): _S.UNACK,
    (_S.UNACK, _T.CLEAR): _S.RTNUN,
    (_S.UNACK, _T.ACKNOWLEDGE): _S.ACKED,
    (_S.ACKED, _T.RAISE): _S.ACKED,
    (_S.ACKED, _T.RAISE_GRAVER): _S.UNACK,
    (_S.ACKED, _T.CLEAR): _S.NORM,
    (_S.ACKED, _T.UNACKNOWLEDGE): _S.UNACK,
    (_S.RTNUN, _T.RAISE): _S.UNACK,
    (_S.RTNUN, _T.RAISE_GRAVER): _S.UNACK,
    (_S.RTNUN, _T.CLEAR): _S.RTNUN,
    (_S.RTNUN, _T.ACKNOWLEDGE): _S.NORM,
    **{(at, step): to for at in (_S.NORM, _S.UNACK, _S.ACKED, _S.RTNUN) for step, to in _AWAY.items()},
    **{(at, step): at for at in (_S.SHLVD, _S.DSUPR, _S.OOSRV) for step in _HEARD},
    (_S.SHLVD, _T.SHELVE): _S.SHLVD,
    (_S.SHLVD, _T.UNSHELVE): None,
    (_S.SHLVD, _T.SUPPRESS): _S.DSUPR,
    (_S.SHLVD, _T.REMOVE_FROM_SERVICE): _S.OOSRV,
    (_S.DSUPR, _T.SHELVE): _S.DSUPR,
    (_S.DSUPR, _T.UNSHELVE): _S.DSUPR,
    (_S.DSUPR, _T.SUPPRESS): _S.DSUPR,
    (_S.DSUPR, _T.UNSUPPRESS): None,
    (_S.DSUPR, _T.REMOVE_FROM_SERVICE): _S.OOSRV,
    (_S.OOSRV, _T.SHELVE): _S.OOSRV,
    (_S.OOSRV, _T.UNSHELVE): _S.OOSRV,
    (_S.OOSRV, _T.SUPPRESS): _S.OOSRV,
    (_S.OOSRV, _T.UNSUPPRESS): _S.OOSRV,
    (_S.OOSRV, _T.RETURN_TO_SERVICE): None,
}
"""Where each step leads; what is not here is refused. None: where nothing else holds it back any more, to UNACK if it
stands, else to NORM; else to what still holds it back (out of service, then suppressed, then shelved)."""


class NoSuchStep(Exception):
    """The alarm's state does not allow that step; `allowed` are those that can be done by people."""

    def __init__(self, state: AlarmState, step: AlarmStep) -> None:
        self.state, self.step = state, step
        self.allowed = tuple(str(one) for one in AlarmStep if one not in _HEARD and (state, one) in TABLE)
        super().__init__(f"an alarm that is {state} cannot be {step}; possible: {', '.join(self.allowed)}")


class Word(NamedTuple):
    """One thing heard: raised (or said to stand) or cleared, at that event time, in that episode."""

    at_ns: int
    over: bool
    episode: str


class Transition(NamedTuple):
    """The alarm became active, or returned to normal."""

    at_ns: int
    active: bool


class Span(NamedTuple):
    """One activation; `to_ns` is None while it stands, `from_ns` 0 if it began before what is remembered."""

    from_ns: int
    to_ns: int | None


@dataclass(frozen=True)  # no slots: changed by every word, see `andon.frozen`
class Alarm:
    """All that is known of one alarm.

    `standing` are the episodes that stand, `words` the ring. `acknowledged` is true where nothing waits for a person.
    `severity` is the highest of the activation. Each of `shelved_until_ns`, `suppressed_by` and `out_of_service` holds
    it back by itself. `told_ns` is when its ticket was last told of, by event time.
    """

    standing: frozenset[str] = frozenset()
    words: tuple[Word, ...] = ()
    severity: int = 0
    acknowledged: bool = True
    acked_ns: int | None = None
    acked_by: str | None = None
    shelved_until_ns: int | None = None
    suppressed_by: frozenset[str] = frozenset()
    out_of_service: str | None = None
    active_since_ns: int | None = None
    last_change_ns: int = 0
    activations: int = 0
    fleeting: int = 0
    chatters: int = 0
    chattering_since_ns: int | None = None
    chattering_until_ns: int | None = None
    told_ns: int | None = None

    @property
    def active(self) -> bool:
        """Whether it stands, told or not."""
        return bool(self.standing)

    @property
    def state(self) -> AlarmState:
        """Its state in the standard's words."""
        if self.out_of_service is not None:
            return AlarmState.OOSRV
        if self.suppressed_by:
            return AlarmState.DSUPR
        if self.shelved_until_ns is not None:
            return AlarmState.SHLVD
        if self.standing:
            return AlarmState.ACKED if self.acknowledged else AlarmState.UNACK
        return AlarmState.NORM if self.acknowledged else AlarmState.RTNUN

    def chatters_at(self, at_ns: int) -> bool:
        """Whether it chatters then."""
        since_ns, until_ns = self.chattering_since_ns, self.chattering_until_ns
        return since_ns is not None and until_ns is not None and since_ns <= at_ns < until_ns

    def was_told_at(self, at_ns: int) -> bool:
        """Whether it chatters then, and people have heard of that."""
        since_ns, told_ns = self.chattering_since_ns, self.told_ns
        known = since_ns is not None and told_ns is not None and told_ns >= since_ns
        return known and self.chatters_at(at_ns)

    def transitions(self) -> list[Transition]:
        """When it became active and when it returned, as far back as the ring goes, oldest first."""
        return _transitions(self.words, self.standing)

    def spans(self) -> list[Span]:
        """Its activations, as far back as the ring goes, oldest first."""
        return _spans(self.transitions(), active=self.active)


def heard(alarm: Alarm, word: Word, *, stands: bool, severity: int = 0, rule: Chattering = USUAL) -> Alarm:
    """The alarm after a word; `stands` says whether its episode does, by all that was ever heard of it."""
    known = alarm.standing
    standing = known | {word.episode} if stands else known - {word.episode}
    if standing == known and alarm.words and _says_again(alarm.words[-1], word):
        return _graver(changed(alarm, words=_kept((*alarm.words, word))), word, severity)
    words = _with(alarm.words, word)
    transitions = _transitions(words, standing)
    began = sum(one.active for one in transitions) - sum(one.active for one in alarm.transitions())
    new = began > 0 or bool(standing and not known)
    last = transitions[-1] if transitions else Transition(word.at_ns, active=bool(standing))
    moved = changed(
        alarm,
        standing=standing,
        words=_kept(words),
        acknowledged=alarm.acknowledged and not new,
        severity=0 if new else alarm.severity,
        active_since_ns=_since(transitions, alarm, word) if standing else None,
        last_change_ns=last.at_ns if (began or standing != known) else alarm.last_change_ns,
        activations=alarm.activations + max(began, 0),
    )
    return _graver(_judged(moved, transitions, rule), word, severity)


@dataclass(frozen=True, slots=True)
class Given:
    """What comes with a step: who does it, when (server time), why or by what, and until when."""

    now_ns: int
    by: str = ""
    reason: str = ""
    until_ns: int | None = None


_CHANGES: Mapping[AlarmStep, Callable[[Alarm, Given], Alarm]] = {
    _T.ACKNOWLEDGE: lambda a, g: changed(a, acknowledged=True, acked_ns=g.now_ns, acked_by=g.by),
    _T.UNACKNOWLEDGE: lambda a, _: changed(a, acknowledged=False, acked_ns=None, acked_by=None),
    _T.SHELVE: lambda a, g: changed(a, shelved_until_ns=g.until_ns or g.now_ns),
    _T.UNSHELVE: lambda a, _: changed(a, shelved_until_ns=None),
    _T.SUPPRESS: lambda a, g: changed(a, suppressed_by=a.suppressed_by | {g.reason}),
    _T.UNSUPPRESS: lambda a, g: changed(a, suppressed_by=a.suppressed_by - {g.reason}),
    _T.REMOVE_FROM_SERVICE: lambda a, g: changed(a, out_of_service=g.reason),
    _T.RETURN_TO_SERVICE: lambda a, _: changed(a, out_of_service=None),
}


def do(alarm: Alarm, step: AlarmStep, given: Given) -> Alarm:
    """The alarm after what was done to it; NoSuchStep if its state does not allow that.

    To shelve needs `until_ns`; `reason` names the window or cause that suppresses, and the one that no longer does.
    """
    change = _CHANGES.get(step)
    if change is None or (alarm.state, step) not in TABLE:
        raise NoSuchStep(alarm.state, step)
    after = change(alarm, given)
    if alarm.state in HELD_BACK and after.state not in HELD_BACK:
        after = changed(after, acknowledged=not after.active)
    return changed(after, last_change_ns=given.now_ns)


def set_aside(
    alarm: Alarm, shelved_until_ns: int | None, suppressed_by: frozenset[str], now_ns: int
) -> Alarm:
    """The alarm after all steps that lead from what held it back to what does now."""
    if shelved_until_ns is not None and alarm.shelved_until_ns != shelved_until_ns:
        alarm = do(alarm, AlarmStep.SHELVE, Given(now_ns, until_ns=shelved_until_ns))
    for name in sorted(suppressed_by - alarm.suppressed_by):
        alarm = do(alarm, AlarmStep.SUPPRESS, Given(now_ns, reason=name))
    for name in sorted(alarm.suppressed_by - suppressed_by):
        alarm = do(alarm, AlarmStep.UNSUPPRESS, Given(now_ns, reason=name))
    if shelved_until_ns is None and alarm.shelved_until_ns is not None:
        alarm = do(alarm, AlarmStep.UNSHELVE, Given(now_ns))
    return alarm


def chattering(transitions: Sequence[Transition], rule: Chattering) -> tuple[int, int] | None:
    """The last time that it chattered, as (since, until); None if it never did.

    It begins with the word that makes the activations or the transitions too many, and ends when fewer than two
    transitions lie within `calm_s` (Nagios' two thresholds; the first limits are those of alarm benchmarks, EEMUA 191).
    """
    found: tuple[int, int] | None = None
    for place, (at_ns, _) in enumerate(transitions):
        if found is not None and at_ns >= found[1]:
            found = (at_ns, at_ns) if _begins(transitions, place, rule) else None
        elif found is None and _begins(transitions, place, rule):
            found = (at_ns, at_ns)
        if found is not None:
            found = (found[0], transitions[place - 1].at_ns + _ns(rule.calm_s))
    return found


def _begins(transitions: Sequence[Transition], place: int, rule: Chattering) -> bool:
    at_ns = transitions[place].at_ns
    before = transitions[: place + 1]
    activations = sum(one.active and at_ns - one.at_ns <= _ns(rule.activations_s) for one in before)
    changes = sum(at_ns - one.at_ns <= _ns(rule.transitions_s) for one in before)
    return activations >= rule.activations or changes > rule.transitions


def _judged(alarm: Alarm, transitions: Sequence[Transition], rule: Chattering) -> Alarm:
    found = chattering(transitions, rule) if len(transitions) > rule.activations else None
    if found is None:
        return alarm
    again = alarm.chattering_until_ns is None or found[0] >= alarm.chattering_until_ns
    since_ns = found[0] if again or alarm.chattering_since_ns is None else alarm.chattering_since_ns
    return changed(
        alarm,
        chatters=alarm.chatters + again,
        chattering_since_ns=min(since_ns, found[0]),
        chattering_until_ns=found[1],
    )


def _graver(alarm: Alarm, word: Word, severity: int) -> Alarm:
    """A word that is graver than what was acknowledged asks for a person again."""
    if word.over or severity <= alarm.severity:
        return alarm
    again = alarm.active and alarm.severity > 0
    return changed(alarm, severity=severity, acknowledged=alarm.acknowledged and not again)


def _since(transitions: Sequence[Transition], alarm: Alarm, word: Word) -> int:
    began = [one.at_ns for one in transitions if one.active]
    if began:
        return began[-1]
    return alarm.active_since_ns if alarm.active_since_ns is not None else word.at_ns


def _order(word: Word) -> tuple[int, bool, str]:
    """By time; what is raised and over at the same moment is over."""
    return word.at_ns, word.over, word.episode


def _says_again(before: Word, word: Word) -> bool:
    """Whether a later word says what the one before it said."""
    return before[1:] == word[1:] and before.at_ns <= word.at_ns


def _with(words: Iterable[Word], word: Word) -> tuple[Word, ...]:
    """The words with one more at its place."""
    ordered = list(words)
    insort(ordered, word, key=_order)
    return tuple(ordered)


def _kept(words: tuple[Word, ...]) -> tuple[Word, ...]:
    """As much of the ring as may still matter: between words that say the same only what is new, or nothing if full."""
    if len(words) <= _FEW:
        return words
    words = _without_repeats(words, words[-1].at_ns - LATE_NS)
    if len(words) > RING:
        words = _without_repeats(words, words[-1].at_ns)
    return words[-RING:]


def _without_repeats(words: tuple[Word, ...], until_ns: int) -> tuple[Word, ...]:
    """Without those older than that which say what their neighbours on both sides say."""
    inner = zip(words, words[1:], words[2:], strict=False)
    kept = [
        one for before, one, after in inner if one.at_ns >= until_ns or not before[1:] == one[1:] == after[1:]
    ]
    return (words[0], *kept, words[-1])


def _transitions(words: Sequence[Word], standing: Iterable[str]) -> list[Transition]:
    first: dict[str, Word] = {}
    for word in words:
        first.setdefault(word.episode, word)
    active = {episode for episode, word in first.items() if word.over}
    active |= {episode for episode in standing if episode not in first}
    found: list[Transition] = []
    for word in words:
        before = bool(active)
        (active.discard if word.over else active.add)(word.episode)
        if bool(active) != before:
            found.append(Transition(word.at_ns, active=not before))
    return found


def _spans(transitions: Sequence[Transition], *, active: bool) -> list[Span]:
    if not transitions:
        return [Span(0, None)] if active else []
    ends = [0] if not transitions[0].active else []
    ends += [one.at_ns for one in transitions]
    starts, stops = ends[::2], ends[1::2]
    return [Span(start, stops[n] if n < len(stops) else None) for n, start in enumerate(starts)]


def _ns(seconds: float) -> int:
    return round(seconds * SECOND_NS)
