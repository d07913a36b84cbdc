"""Stop alarm: a machine stop that MES or PLC report becomes a finding, once, until it is cleared."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from andon.events import Event, Family, Finding, Number, StopAlarm
from andon.plant import Asset
from andon.ports import State
from detectors.episode import Episode, Speaker, Word, parameters_hash
from detectors.state import flatten, load


@dataclass(slots=True)
class _Reason:
    """What is known of one stop reason: when it last spoke, its episode, and what the source had called that."""

    last_ns: int = -1
    active: bool = False
    event_id: str = ""
    episode: Episode = field(default_factory=Episode)


class Detector:
    """A standing stop is one finding, however often it is reported.

    Raises with the stop's reason as component, updates when its severity changes, clears when it is cleared; all
    three have the event's id that came with the first.
    A report older than the reason's last one is late and changes nothing.
    Source: OPC 30050 (PackML), 6.8.2.2, StopReason; OPC 10000-9 for severity 1-1000.
    """

    kind = "stop_alarm"
    version = "1"

    class Parameters(BaseModel):
        """Which stops are findings."""

        model_config = ConfigDict(frozen=True, extra="forbid")
        min_severity: int = Field(
            default=1,
            ge=1,
            le=1000,
            description="Stops of a lower severity (1-1000, OPC UA) are not findings.",
        )
        ignored_categories: tuple[str, ...] = Field(
            default=(), description="Stop categories that are not failures, such as planned changeovers."
        )
        most_reasons: int = Field(
            default=256,
            ge=2,
            le=4096,
            description="Stop reasons remembered for one asset; the longest silent one is forgotten first.",
        )

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._asset, self._parameters = asset, parameters
        self._hash = parameters_hash(parameters)
        self._reasons: dict[str, _Reason] = {}

    def update(self, event: Event) -> Sequence[Finding]:
        """Take a stop alarm of this asset."""
        if not isinstance(event, StopAlarm) or event.asset != self._asset.id or not self._counts(event):
            return ()
        reason = self._reasons.pop(event.reason_id, None) or _Reason()
        self._reasons[event.reason_id] = reason  # the newest last
        if len(self._reasons) > self._parameters.most_reasons:
            self._forget()
        if event.at_ns < reason.last_ns or (
            event.at_ns == reason.last_ns and event.active and not reason.active
        ):
            return ()
        reason.last_ns, reason.active = event.at_ns, event.active
        if not reason.episode.stands:
            reason.event_id = event.event_id
        return self._speak(event, reason.episode, reason.event_id)

    def _speak(self, event: StopAlarm, episode: Episode, event_id: str) -> list[Finding]:
        speaker = Speaker(
            self.kind, self.version, self._hash, self._asset.id, Family.STOP, component=event.reason_id
        )
        word = Word(
            at_ns=event.at_ns,
            condition="stop",
            severity=event.severity,
            origin=event.origin,
            numbers=(Number("severity", float(event.severity), "1"),),
            text={
                "message": event.message,
                "category": event.category,
                "state": event.state.name,
                "reason_value": str(event.reason_value),
                **({"event_id": event_id} if event_id else {}),
            },
        )
        if not event.active:
            return [speaker.clears(episode, word)] if episode.stands else []
        if not episode.stands:
            return [speaker.raises(episode, event.at_ns, word)]
        return [speaker.updates(episode, word)] if event.severity != episode.severity else []

    def _counts(self, alarm: StopAlarm) -> bool:
        known = alarm.reason_id in self._reasons
        worth = alarm.severity >= self._parameters.min_severity
        return known or (worth and alarm.category not in self._parameters.ignored_categories)

    def _forget(self) -> None:
        older = list(self._reasons)[:-1]
        quiet = (reason for reason in older if not self._reasons[reason].active)
        del self._reasons[next(quiet, older[0])]

    def snapshot(self) -> State:
        """The state as arrays and JSON."""
        return {"reasons": [[reason, flatten(known)] for reason, known in self._reasons.items()]}

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken."""
        self._reasons = {}
        for reason, flat in state["reasons"]:
            known = self._reasons[reason] = _Reason()
            load(known, flat)
