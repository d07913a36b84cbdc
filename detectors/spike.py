"""Spike: single readings that no machine could have made, since the next one is back where it was."""

from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from andon.events import Declaration, Family, Finding, Float64, Int64, Number, Origin
from andon.plant import Asset
from detectors.baseline import cleared, shape, source_of
from detectors.episode import Episode, Word
from detectors.evidence import Trend, significant
from detectors.scalar_channels import ChannelParameters, Channels, Heard, ScalarKind

_RING = 11  # readings whose median a reading is held against
_MOST = 64  # spikes kept
_LONGEST = 2  # readings in a row that still are a spike; more are a step
_TO_SIGMA = 1.4826
_FEWEST = 200  # readings before a baseline is frozen
_AS_USUAL = 6.0  # times the rate of the learning period that a window may hold besides
_AWAY = 6.0  # local sigmas within which a reading is one of its neighbours


@dataclass(slots=True)
class _Watch:
    """One channel: its latest readings, what waits to be called a spike, and how far readings stray. 3 KB."""

    version: int = 1
    first_ns: int = -1
    frozen_ns: int = -1
    count: int = 0
    ring: Float64 = field(default_factory=lambda: np.zeros(0))
    waits: Float64 = field(default_factory=lambda: np.zeros(0))
    waits_ns: int = -1
    usual: float = 0.0
    largest: Float64 = field(default_factory=lambda: np.zeros(2))
    limit: float = 0.0
    learned: int = 0
    needed: int = 0
    last_spike: float = 0.0
    spikes_ns: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    size: float = 0.0
    said: float = 0.0
    over_ns: int = 0
    trend: Trend = field(default_factory=Trend.short)
    episode: Episode = field(default_factory=Episode)


@dataclass(slots=True)
class _State:
    heard: Heard
    channels: dict[str, _Watch]


class Detector(ScalarKind):
    """Readings far from the median of the eleven before them, when one of the next two is back.

    Far is more than ten of the channel's own usual distances, more than six local ones (Hampel), and half again as
    far as the second largest that returned in a learning period of a week: a press whose current jumps with each
    stroke is not ill. Four such readings in a day are a finding (a loose contact, interference, a broken shield),
    and more where the learning period had some; one is not. What does not return is no spike but a step. Clears after
    two days without.
    DEFAULTS: every class, on all declared scalars.
    Source: Hampel identifier (Davies and Gather 1993; Pearson 2002); spike test of quality control (QARTOD, IOOS
    2020, test 6), with its threshold learned per channel.
    """

    kind = "spike"
    version = "1"

    class Parameters(ChannelParameters):
        """How far a reading has to be off, and how often."""

        learn_s: float = Field(
            default=7 * 86_400.0,
            ge=60,
            le=60 * 86_400,
            description="Seconds of learning how far readings stray.",
        )
        least_sigmas: float = Field(
            default=10.0,
            gt=0,
            le=1000,
            description="Distance that counts, in robust sigmas of the usual distance.",
        )
        margin: float = Field(
            default=1.5,
            ge=1,
            le=20,
            description="Times the second largest distance that returned in the learning period.",
        )
        count: int = Field(default=4, ge=1, le=32, description="Spikes within the window that raise.")
        window_s: float = Field(
            default=86_400.0, ge=1, le=30 * 86_400, description="Window in seconds in which they are counted."
        )
        clear_s: float = Field(
            default=172_800.0, ge=1, le=60 * 86_400, description="Seconds without a spike that clear."
        )
        severity: int = Field(default=200, ge=1, le=1000, description="Severity (1-1000, OPC UA).")

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._parameters = parameters
        self._channels = Channels(asset, parameters, self.kind, self.version, Family.DATA_QUALITY)
        self._learn_ns, self._window_ns, self._clear_ns = (
            round(s * 1e9) for s in (parameters.learn_s, parameters.window_s, parameters.clear_s)
        )
        self._state = _State(Heard(), {channel: _Watch() for channel in self._channels.units})

    def _take(self, channel: str, at_ns: int, value: float, origin: Origin) -> list[Finding]:
        watch = self._state.channels[channel]
        watch.first_ns = at_ns if watch.first_ns < 0 else watch.first_ns
        watch.trend.add(at_ns, value)
        spike_ns = -1
        if watch.ring.size < _RING:
            watch.ring = np.append(watch.ring, value)
        else:
            spike_ns = self._look(watch, at_ns, value)
        if watch.frozen_ns < 0:
            if at_ns - watch.first_ns >= self._learn_ns and watch.count >= _FEWEST:
                self._freeze(watch, at_ns)
            return []
        return self._speak(channel, watch, spike_ns, at_ns, origin)

    def _calm(self, channel: str, at_ns: Int64, value: Float64) -> int:
        """Take the readings up to the one that ends the learning period or that may be a spike."""
        watch, many = self._state.channels[channel], at_ns.size
        if watch.ring.size < _RING or watch.waits.size or watch.episode.stands:
            return 0
        seen = np.concatenate([watch.ring, value])
        if watch.frozen_ns < 0:
            many = self._calm_learning(watch, at_ns, seen)
        elif np.ptp(seen) > watch.limit:  # else none can be far from any other
            middle, spread = _middles(seen)
            far = np.abs(value - middle) > np.maximum(watch.limit, _AWAY * _TO_SIGMA * spread)
            many = int(far.argmax()) if far.any() else many
        if many:
            watch.trend.extend(at_ns[:many], value[:many])
            watch.ring = seen[many : many + _RING].copy()
        return many

    def _calm_learning(self, watch: _Watch, at_ns: Int64, seen: Float64) -> int:
        most = int(np.searchsorted(at_ns, watch.first_ns + self._learn_ns))
        middle, spread = _middles(seen)
        off, local = np.abs(seen[_RING:] - middle), _AWAY * _TO_SIGMA * spread
        for many, (far, least) in enumerate(zip(off[:most].tolist(), local[:most].tolist(), strict=True)):
            if watch.count >= _RING and far > max(self._least(watch), least):
                return many
            _stray(watch, far)
        return most

    def _freeze(self, watch: _Watch, at_ns: int) -> None:
        p, watch.frozen_ns = self._parameters, at_ns
        watch.limit = max(self._least(watch), p.margin * float(watch.largest[1]))
        per_window = (watch.learned + 0.5) * self._window_ns / (at_ns - watch.first_ns)
        watch.needed = min(_MOST, p.count + int(_AS_USUAL * per_window))

    def _least(self, watch: _Watch) -> float:
        return self._parameters.least_sigmas * _TO_SIGMA * watch.usual

    def _look(self, watch: _Watch, at_ns: int, value: float) -> int:
        """When a spike began that is over with this reading, else -1."""
        ring = watch.ring.tolist()
        calm = watch.frozen_ns >= 0 and not watch.waits.size
        if calm and max(*ring, value) - min(*ring, value) <= watch.limit:
            _push(watch.ring, value)  # none is far from any other
            return -1
        middle = sorted(ring)[_RING // 2]
        off = abs(value - middle)
        local = _AWAY * _TO_SIGMA * sorted(abs(x - middle) for x in ring)[_RING // 2]
        limit = watch.limit if watch.frozen_ns >= 0 else self._least(watch)
        if watch.frozen_ns < 0 and not watch.waits.size:
            _stray(watch, off)
        if watch.count > _RING and off > max(limit, local):
            watch.waits_ns = at_ns if not watch.waits.size else watch.waits_ns
            watch.waits = np.append(watch.waits, value)
            if watch.waits.size > _LONGEST:
                watch.ring = np.append(watch.ring, watch.waits)[-_RING:]
                watch.waits = np.zeros(0)
            return -1
        spike_ns = -1
        if watch.waits.size:
            far = float(np.abs(watch.waits - middle).max())
            watch.waits = np.zeros(0)
            if off <= far / 2:
                spike_ns = watch.waits_ns
                watch.last_spike = far
        _push(watch.ring, value)
        if spike_ns >= 0 and watch.frozen_ns < 0:
            watch.learned += 1
            watch.largest = np.sort(np.append(watch.largest, watch.last_spike))[::-1][:2].copy()
        return spike_ns

    def _speak(self, channel: str, watch: _Watch, spike_ns: int, at_ns: int, origin: Origin) -> list[Finding]:
        speaker, findings = self._channels.speakers[channel], []
        if spike_ns >= 0:
            kept = watch.spikes_ns[watch.spikes_ns > spike_ns - self._window_ns]
            watch.spikes_ns = np.append(kept, spike_ns)[-_MOST:]
            watch.size = watch.last_spike if kept.size == 0 else max(watch.size, watch.last_spike)
        if watch.episode.stands:
            if at_ns - watch.spikes_ns[-1] > self._clear_ns:
                findings = [speaker.clears(watch.episode, self._word(channel, watch, at_ns, origin))]
                watch.over_ns = at_ns + 1
            elif spike_ns >= 0 and watch.size >= 2 * watch.said:
                watch.said = watch.size
                findings = [speaker.updates(watch.episode, self._word(channel, watch, at_ns, origin))]
        elif spike_ns >= 0 and watch.spikes_ns.size >= watch.needed:
            watch.said = watch.size
            onset_ns = max(int(watch.spikes_ns[0]), watch.over_ns)
            findings = [speaker.raises(watch.episode, onset_ns, self._word(channel, watch, at_ns, origin))]
        return findings

    def _relearn(self, channel: str, why: Declaration) -> list[Finding]:
        watch = self._state.channels[channel]
        over_ns = max(why.at_ns + 1, watch.over_ns)
        self._state.channels[channel] = _Watch(version=watch.version + 1, trend=watch.trend, over_ns=over_ns)
        return cleared(self._channels.speakers[channel], watch.episode, why)

    def _word(self, channel: str, watch: _Watch, at_ns: int, origin: Origin) -> Word:
        p, unit = self._parameters, self._channels.units[channel]
        source = (
            f"{p.least_sigmas:g} sigma and {p.margin:g} x what returned before, {source_of(watch.version)}"
        )
        return Word(
            at_ns=at_ns,
            condition="spikes",
            severity=p.severity,
            origin=origin,
            confidence=0.8,
            numbers=(
                Number(
                    "spikes",
                    float(watch.spikes_ns.size),
                    "1",
                    float(watch.needed),
                    f"within {p.window_s:g} s",
                ),
                Number("spike", significant(watch.size), unit, significant(watch.limit), source),
                Number("usual", significant(float(np.median(watch.ring))), unit),
            ),
            evidence={
                "trend": watch.trend.shape(channel, unit),
                "baseline": shape(watch.version, watch.first_ns, watch.frozen_ns, watch.count),
            },
            text={"point": channel.partition("/")[0], "channel": channel},
        )


def _stray(watch: _Watch, off: float) -> None:
    """The usual distance: a running median by stochastic approximation."""
    watch.count += 1
    gain = max(off, watch.usual) if watch.count < 20 else watch.usual + 1e-3 * off
    watch.usual += gain * (0.5 if off > watch.usual else -0.5) / min(watch.count, 500)
    watch.usual = max(watch.usual, 0.0)


def _push(ring: Float64, value: float) -> None:
    ring[:-1] = ring[1:]
    ring[-1] = value


def _middles(seen: Float64) -> tuple[Float64, Float64]:
    """Of each reading after the first eleven: the median of the eleven before it, and of their distances from it."""
    rings = np.lib.stride_tricks.sliding_window_view(seen[:-1], _RING)
    middle: Float64 = np.sort(rings, axis=1)[:, _RING // 2]
    spread: Float64 = np.sort(np.abs(rings - middle[:, None]), axis=1)[:, _RING // 2]
    return middle, spread
