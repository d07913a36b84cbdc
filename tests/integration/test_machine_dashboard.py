"""The dashboard of machines over what the mirror really writes: every query asked of a real InfluxDB."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from andon.config import Influx as Settings
from andon.events import SECOND_NS, Origin, PackMLState, Quality, Readings, Waveform
from andon.plant import Point
from detectors.features import features_of
from ingest.influx import Mirror
from ingest.series import SeriesStore
from tests.dashboards import asked
from tests.influx import Influx
from tests.vibration import BEARING, PERIOD_NS, RATE_HZ, SPEED_HZ, T0, Shaking, samples

ASSET, BLOCKS = "L1-SPN-01", 6
POINT = Point(
    id="DE", component="bearing", kind="waveform", quantities={}, bearing=BEARING, speed_hz=SPEED_HZ
)
SLOW = (("DE/temperature", "Cel", 41.5), ("M/current", "A", 7.25), ("state", "1", float(PackMLState.EXECUTE)))


def _readings() -> Iterator[Readings]:
    """What the pipeline makes of some vibration, and what machines send themselves, one value of it bad."""
    rng = np.random.default_rng(1)
    origin = Origin("floor", 0, T0)
    for number in range(BLOCKS):
        at_ns = T0 + number * PERIOD_NS
        block = samples(rng, Shaking(impact_g=0.5))
        wave = Waveform(ASSET, "DE", at_ns, RATE_HZ, block.reshape(-1, 1), "g", SPEED_HZ, origin)
        yield features_of(wave, POINT)
        quality = [Quality.GOOD, Quality.GOOD, Quality.GOOD]
        if number == 0:
            quality[0] = Quality.BAD
        yield Readings(
            ASSET,
            tuple(name for name, _, _ in SLOW),
            tuple(unit for _, unit, _ in SLOW),
            np.full(len(SLOW), at_ns, np.int64),
            np.arange(len(SLOW), dtype=np.int32),
            np.array([value for _, _, value in SLOW]),
            np.array(quality, np.uint32),
            origin,
        )


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[Influx]:
    """A server that has got everything through the mirror."""
    server = Influx(tmp_path / "influx")
    try:
        server.start()
        with contextlib.closing(SeriesStore(tmp_path / "series.sqlite")) as store:
            store.write(1, [*_readings()])
        name = Settings.model_fields["measurement"].default
        mirror = Mirror(
            tmp_path / "series.sqlite", server.write, measurement=name, lines=5000, spool_values=10**6
        )
        with contextlib.closing(mirror):
            while mirror.step():
                pass
        yield server
    finally:
        server.stop()


def test_every_query_of_the_machines_dashboard_has_an_answer(influx: Influx) -> None:
    until_ns = T0 + BLOCKS * PERIOD_NS
    here = {
        "$timeFilter": f"time >= {T0} AND time <= {until_ns}",
        "$__interval": "10s",
        "$asset": f"({ASSET}|ANOTHER)",  # how Grafana writes several values
    }
    wanted = list(asked("andon-series"))
    assert len(wanted) > 10
    for one in wanted:
        query = one.text
        for variable, value in here.items():
            query = query.replace(variable, value)
        assert "$" not in query.replace("$/", "").replace("$)", ""), one
        series = influx.ask(query)
        assert series, f"no answer to {one}"
        if one.legend.startswith("$tag_"):
            tags = {word.removeprefix("$tag_") for word in one.legend.split(" · ")}
            assert all(
                tags == found["tags"].keys() and found["tags"]["asset"] == ASSET for found in series
            ), one
            assert all(len(found["values"]) >= BLOCKS - 1 for found in series), one


def test_the_dashboard_shows_the_values_that_were_made(influx: Influx) -> None:
    made = {}
    for block in _readings():
        for place, value in zip(block.channel.tolist(), block.value.tolist(), strict=True):
            made.setdefault(block.channels[place], []).append(value)
    texts = {one.panel.partition(" · ")[0]: one.text for one in asked("andon-series")}
    here = texts["Velocity RMS"].replace("$timeFilter", f"time >= {T0}").replace("$asset", ASSET)
    (shown,) = influx.ask(here.replace("$__interval", f"{PERIOD_NS // SECOND_NS}s"))
    assert [value for _, value in shown["values"]] == pytest.approx(made["DE/velocity_rms"])
    bad = influx.ask(texts["Of bad quality"].replace("$timeFilter", f"time >= {T0}").replace("$asset", ASSET))
    assert bad[0]["values"][0][1] == 1
