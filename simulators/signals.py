"""What is told when something changes: the PackML state of a machine, and the stop alarms of MES."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from andon.events import PackMLState, rfc3339
from simulators.chance import identity
from simulators.mes import Reason, Stop
from simulators.messages import Channel, Item, MqttMessage, OpcuaEvent, OpcuaValue, envelope
from simulators.physics import Body
from simulators.streams import Moment, telemetry, topic_of


@dataclass(frozen=True, slots=True)
class StateStream:
    """The PackML state of a machine, told at each change and once at the beginning. The number is the state."""

    body: Body
    late: float = 0.0
    twice: float = 0.0

    @property
    def name(self) -> str:
        """The machine's id with what it tells."""
        return f"{self.body.machine.id}/state"

    @property
    def channel(self) -> Channel:
        """That of its line."""
        return self.body.machine.channel

    def moments(self, from_ns: int, to_ns: int) -> Iterator[Moment]:
        """Each change."""
        if from_ns <= self.body.story.start_ns < to_ns:
            yield int(PackMLState.EXECUTE), self.body.story.start_ns
        for stop in self.body.story.stops(self.body.machine.id, to_ns):
            for at_ns, state in stop.states():
                if from_ns <= at_ns < to_ns:
                    yield int(state), at_ns

    def last(self, at_ns: int) -> Moment:
        """The last change by then."""
        *_, latest = self.moments(self.body.story.start_ns, max(at_ns, self.body.story.start_ns) + 1)
        return latest

    def items(self, number: int, at_ns: int, due_ns: int) -> Sequence[Item]:
        """The change into the state of that number."""
        if self.channel == "opcua":
            return (OpcuaValue(due_ns, self.name, float(number), at_ns),)
        message = telemetry(self.body, [], at_ns, f"{self.name}:{at_ns}")
        return (MqttMessage(due_ns, topic_of(self.body, "telemetry", "state"), message),)


@dataclass(frozen=True, slots=True)
class StopStream:
    """The stop alarms of a machine: raised (1) when it stands, cleared (0) when it is reset."""

    body: Body
    late: float = 0.0

    @property
    def name(self) -> str:
        """The machine's id with what is told."""
        return f"{self.body.machine.id}/stop"

    @property
    def channel(self) -> Channel:
        """That of its line."""
        return self.body.machine.channel

    @property
    def twice(self) -> float:
        """On line 1 MES repeats itself often."""
        return 0.25 if self.channel == "mqtt" else 0.0

    def moments(self, from_ns: int, to_ns: int) -> Iterator[Moment]:
        """Each alarm raised and cleared."""
        for stop in self.body.story.stops(self.body.machine.id, to_ns):
            if stop.reason is not None:
                for active, at_ns in ((1, stop.stopped_ns), (0, stop.resetting_ns)):
                    if from_ns <= at_ns < to_ns:
                        yield active, at_ns

    def items(self, number: int, at_ns: int, due_ns: int) -> Sequence[Item]:
        """The alarm that is raised or cleared at `at_ns`."""
        stops = self.body.story.stops(self.body.machine.id, at_ns)
        stop = next(stop for stop in stops if stop.at_ns <= at_ns < stop.running_ns)
        if stop.reason is None:
            return ()
        if self.channel == "opcua":
            return (self._event(stop, stop.reason, at_ns, due_ns, active=bool(number)),)
        message = self._message(stop, stop.reason, at_ns, active=bool(number))
        return (MqttMessage(due_ns, topic_of(self.body, "event", "stop"), message),)

    def _event(self, stop: Stop, reason: Reason, at_ns: int, due_ns: int, *, active: bool) -> OpcuaEvent:
        return OpcuaEvent(
            at_ns=due_ns,
            event_id=identity(self.body.story.seed, self.name, at_ns),
            asset=self.body.machine.id,
            state=_word(stop.state(at_ns)),
            reason_id=reason.id,
            reason_value=reason.value,
            reason_message=reason.message,
            reason_category=reason.category,
            severity=reason.severity,
            active=active,
            time_ns=at_ns,
        )

    def _message(self, stop: Stop, reason: Reason, at_ns: int, *, active: bool) -> bytes:
        state = stop.state(at_ns)
        return envelope(
            message_id=f"mes:{self.body.machine.id}:{at_ns}",
            source="mes/line-1",
            kind="andon.machine.stop.v1",
            at_ns=at_ns,
            subject=f"{self.body.machine.path}/{self.body.machine.id}",
            data={
                "state": _word(state),
                "state_num": int(state),
                "mode": "Production",
                "reason": {
                    "id": reason.id,
                    "value": reason.value,
                    "message": reason.message,
                    "category": reason.category,
                    "trigger": active,
                },
                "start_time": rfc3339(stop.stopped_ns),
                "end_time": None if active else rfc3339(at_ns),
                "severity": reason.severity,
                "source_system": "mes",
            },
        )


def _word(state: PackMLState) -> str:
    return state.name.capitalize()
