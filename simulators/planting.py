"""What has to come of a story: each planted cause with the ticket, the joining or the root-cause work it expects."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from andon.events import MINUTE_NS, Family
from simulators.chapters import RUNS_AGAIN_MIN, STOP_DUE_MIN
from simulators.episodes import Chapter, Degradation
from simulators.mes import Stop
from simulators.truth import Planted


@dataclass(frozen=True, slots=True)
class _Failure:
    """One failure of a machine: when it begins and ends, and what it is."""

    planted: Planted
    ends_ns: int


def planted_in(chapters: Sequence[Chapter]) -> list[Planted]:
    """Everything planted, in order of onset, when nobody works on the tickets.

    A cause that was seen before joins its ticket, a stop of a machine with a worn bearing is its consequence; a
    second failure of one machine after it ran again opens root-cause work, once (rules 4.1 and 4.4).
    """
    silences = [_silence(chapter) for chapter in chapters]
    failures = sorted(_failures(chapters), key=lambda failure: failure.planted.onset_ns)
    seen: list[_Failure] = []
    rca: set[str] = set()
    planted = [one for some in silences for one in some]
    for failure in failures:
        before = [other for other in seen if other.planted.asset == failure.planted.asset]
        planted.append(_outcome(failure.planted, before))
        if failure.planted.asset not in rca and any(_ran_between(other, failure) for other in before):
            rca.add(failure.planted.asset)
            planted.append(replace(failure.planted, id=f"{failure.planted.id}:rca", expects="rca"))
        seen.append(failure)
    return sorted(planted, key=lambda one: (one.onset_ns, one.id))


def _outcome(fault: Planted, before: Sequence[_Failure]) -> Planted:
    known = any(other.planted.key == fault.key for other in before)
    consequence = fault.family is Family.STOP and any(
        other.planted.family is Family.MACHINE_CONDITION and other.planted.due_ns <= fault.onset_ns
        for other in before
    )
    return replace(fault, expects="joins") if known or consequence else fault


def _ran_between(earlier: _Failure, later: _Failure) -> bool:
    """Whether the machine had recovered, and the later failure is one of its own."""
    fresh_ns = earlier.planted.onset_ns + round(RUNS_AGAIN_MIN * MINUTE_NS)
    return later.planted.onset_ns >= fresh_ns and later.planted.onset_ns > earlier.ends_ns


def _failures(chapters: Sequence[Chapter]) -> Iterator[_Failure]:
    for chapter in chapters:
        yield from (_worn(bad) for bad in chapter.degradations)
        yield from (_stopped(stop) for stop in chapter.stops if stop.reason is not None)


def _worn(bad: Degradation) -> _Failure:
    fault = Planted(
        id=f"{bad.asset}:bearing:{bad.onset_ns}",
        asset=bad.asset,
        component="bearing_de",
        family=Family.MACHINE_CONDITION,
        condition=f"bearing_{bad.element.value}",
        onset_ns=bad.onset_ns,
        due_ns=bad.due_ns,
        expects="ticket",
    )
    return _Failure(fault, bad.mended_ns)


def _stopped(stop: Stop) -> _Failure:
    reason_id = stop.reason.id if stop.reason is not None else ""
    fault = Planted(
        id=f"{stop.asset}:{reason_id}:{stop.stopped_ns}",
        asset=stop.asset,
        component=reason_id,
        family=Family.STOP,
        condition="stop",
        onset_ns=stop.stopped_ns,
        due_ns=stop.stopped_ns + round(STOP_DUE_MIN * MINUTE_NS),
        expects="ticket",
    )
    return _Failure(fault, stop.running_ns)


def _silence(chapter: Chapter) -> list[Planted]:
    return [
        Planted(
            id=f"{silence.asset}:{silence.point}:silent",
            asset=silence.asset,
            component=silence.point,
            family=Family.DATA_QUALITY,
            condition="silent_sensor",
            onset_ns=silence.from_ns,
            due_ns=silence.due_ns,
            expects="ticket",
        )
        for silence in chapter.silences
    ]
