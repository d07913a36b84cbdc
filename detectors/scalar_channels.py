"""The scalar channels that a detector judges: those the plant declares, while the machine runs, each value once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from andon.events import Declaration, Event, Family, Finding, Float64, Int64, Origin, Readings, StopAlarm
from andon.plant import Asset
from andon.ports import State
from detectors.baseline import RELEARNED
from detectors.columns import Column, columns, in_order, in_turn, is_long
from detectors.episode import Speaker, parameters_hash
from detectors.intake import Intake
from detectors.running import STATE, Running
from detectors.state import flatten, load

_FAMILIES = {"Cel": Family.TEMPERATURE, "[degF]": Family.TEMPERATURE, "K": Family.TEMPERATURE}
_FAMILIES |= dict.fromkeys(("A", "mA", "V", "kV", "W", "kW", "Hz"), Family.ELECTRICAL)

Take = Callable[[str, int, float, Origin], Sequence[Finding]]
Calm = Callable[[str, Int64, Float64], int]
Relearn = Callable[[str, Declaration], Sequence[Finding]]


class ChannelParameters(BaseModel):
    """Which channels are judged, and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    channels: tuple[str, ...] = Field(
        default=(),
        description="The channels that are judged (point/quantity); left out, all that the plant document declares.",
    )
    run_settle_s: float = Field(
        default=1800.0,
        ge=0,
        le=86_400,
        description="Seconds in Execute before readings are judged: warm-up.",
    )


@dataclass(slots=True)
class Heard:
    """What is known of the run state, and when each channel spoke last."""

    running: Running = field(default_factory=Running)
    last_ns: dict[str, int] = field(default_factory=dict)


class Channels:
    """The declared channels of one asset, with the speaker of each.

    Parameters
    ----------
    family
        Of the findings; None takes it from the unit: degrees are temperature, volts and amperes electrical.
    """

    def __init__(
        self,
        asset: Asset,
        parameters: ChannelParameters,
        kind: str,
        version: str,
        family: Family | None = None,
    ) -> None:
        self._asset, self._settle_ns = asset.id, round(parameters.run_settle_s * 1e9)
        self.units = {
            f"{point.id}/{quantity}": unit
            for point in asset.points
            for quantity, unit in point.quantities.items()
            if not parameters.channels or f"{point.id}/{quantity}" in parameters.channels
        }
        components = {point.id: point.component for point in asset.points}
        hashed = parameters_hash(parameters)
        self.speakers = {
            channel: Speaker(
                kind,
                version,
                hashed,
                asset.id,
                family or _FAMILIES.get(unit, Family.MACHINE_CONDITION),
                components[channel.partition("/")[0]],
                channel,
            )
            for channel, unit in self.units.items()
        }
        self._intake = Intake(self._wanted)

    def follow(self, event: Event, heard: Heard, take: Take, relearn: Relearn, calm: Calm) -> list[Finding]:
        """What `take` says of each value that may be judged, and `relearn` of each channel whose baseline is over.

        Of a long block `calm` takes at once what says nothing (`detectors/columns.py`).
        """
        if isinstance(event, Readings) and event.asset == self._asset and is_long(event):
            told = [(self._intake.key(event, column.index), column.sound()) for column in columns(event)]
            wanted = [(channel, column) for channel, column in told if channel and column.row.size]
            if all(heard.running.stays(column.value) for channel, column in wanted if channel == STATE):
                return self._at_once(wanted, event.origin, heard, take, calm)
        findings: list[Finding] = []
        if isinstance(event, Declaration):
            for channel in self._over(event):
                heard.last_ns[channel] = max(event.at_ns, heard.last_ns.get(channel, -1))
                findings += relearn(channel, event)
        for at_ns, channel, value in self._judged(event, heard):
            findings += take(channel, at_ns, value, event.origin)
        return findings

    def _judged(self, event: Event, heard: Heard) -> Iterator[tuple[int, str, float]]:
        if isinstance(event, StopAlarm | Declaration) and event.asset == self._asset:
            heard.running.take_word(event)
        if not isinstance(event, Readings) or event.asset != self._asset:
            return
        for at_ns, channel, value in self._intake.rows(event):
            if channel == STATE:
                heard.running.take_state(at_ns, value)
            elif at_ns > heard.last_ns.get(channel, -1):
                heard.last_ns[channel] = at_ns
                if heard.running.runs_at(at_ns, self._settle_ns):
                    yield at_ns, channel, value

    def _at_once(
        self,
        wanted: Sequence[tuple[str, Column]],
        origin: Origin,
        heard: Heard,
        take: Take,
        calm: Calm,
    ) -> list[Finding]:
        """Channel by channel, since none knows of another, and the machine's state stays what it is."""
        said: list[tuple[int, Finding]] = []
        for channel, column in wanted:
            newest = int(column.at_ns.max())
            if channel == STATE:
                heard.running.state_ns = max(heard.running.state_ns, newest)
                continue
            last_ns = heard.last_ns.get(channel, -1)
            before = np.maximum.accumulate(np.concatenate(([last_ns], column.at_ns[:-1])))
            heard.last_ns[channel] = max(last_ns, newest)
            judged = heard.running.judged(column.at_ns, self._settle_ns) & (column.at_ns > before)
            said += in_turn(
                column.picked(judged), partial(calm, channel), partial(_taken, take, channel, origin)
            )
        return in_order(said)

    def _over(self, event: Declaration) -> list[str]:
        """Repaired, or of a machine that is run in another way from here on."""
        if event.asset != self._asset or event.what not in RELEARNED:
            return []
        return [
            channel
            for channel, speaker in self.speakers.items()
            if event.component in {None, speaker.component}
        ]

    def _wanted(self, channel: str, unit: str) -> str | None:
        return channel if channel == STATE or self.units.get(channel) == unit else None


class ScalarKind:
    """What the kinds that judge scalars share. Each gives `_channels`, its `_state` with what was `heard`, and three answers."""

    _channels: Channels
    _state: Any

    def update(self, event: Event) -> Sequence[Finding]:
        """Judge the scalars in a block of readings."""
        return self._channels.follow(event, self._state.heard, self._take, self._relearn, self._calm)

    def snapshot(self) -> State:
        """The state as arrays and JSON."""
        return flatten(self._state)

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken."""
        load(self._state, state)

    def _take(self, channel: str, at_ns: int, value: float, origin: Origin) -> list[Finding]:
        """What a value that may be judged says."""
        raise NotImplementedError

    def _relearn(self, channel: str, why: Declaration) -> list[Finding]:
        """Forget what was learned of a channel, and clear what stands of it."""
        raise NotImplementedError

    def _calm(self, channel: str, at_ns: Int64, value: Float64) -> int:
        """Take the first of these values at once, as many as surely say nothing; gives how many."""
        raise NotImplementedError


def _taken(take: Take, channel: str, origin: Origin, at_ns: int, value: float) -> Sequence[Finding]:
    return take(channel, at_ns, value, origin)
