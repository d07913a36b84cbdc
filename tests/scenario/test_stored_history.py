"""Where the journal no longer reaches back, stored readings and stops are told instead, and it is said what they lack."""

from pathlib import Path

import pytest

from andon.backtests.report import backtest
from andon.backtests.stored import WAVEFORM_KINDS
from andon.config import ConfigError, Keeping
from andon.detector_sets import read_change
from andon.events import HOUR_NS, rfc3339
from andon.plant import DetectorSettings
from detectors import kinds
from ingest.retention import enforce
from simulators.machines import plant_document
from simulators.plant import Simulation
from tests.scenario.virtual_line import START_NS, VirtualLine

STOPPING = "L1-WSH-01"
CHANGE = read_change(f'[[change]]\nasset = "{STOPPING}"\nkind = "bearing_element"\nadd = true')


@pytest.fixture
def line(tmp_path: Path) -> VirtualLine:
    """A washing machine of the demo plant, which stops once; its messages go as by age, the readings stay."""
    simulation = Simulation(1, START_NS, only={STOPPING})
    plant = plant_document()
    assets = tuple(asset for asset in plant.assets if asset.id == STOPPING)
    watched = (DetectorSettings(kind="velocity_zones"), DetectorSettings(kind="stop_alarm"))
    simulation.plant = plant.model_copy(
        update={"assets": assets, "classes": {assets[0].asset_class: watched}}
    )
    made = VirtualLine(tmp_path, simulation, rotate_bytes=50_000).runs(0, 60, step_s=30)
    made.engine.snapshot()
    made.closed()
    return made


def test_the_whole_history_is_told_from_the_journal_alone(line: VirtualLine) -> None:
    warm = backtest(line.data, CHANGE)["warm_up"]
    assert (warm["from_series_hours"], warm["not_judged_in_series"]) == (0.0, [])


def test_a_time_and_an_asset_that_are_not_there_are_refused(line: VirtualLine) -> None:
    with pytest.raises(ConfigError, match="nothing is kept of that time: the history goes from"):
        backtest(line.data, CHANGE, from_ns=line.now() + HOUR_NS)
    with pytest.raises(ConfigError, match="'L1-WSH-O1' is not known; did you mean 'L1-WSH-01'"):
        backtest(line.data, CHANGE, assets=(STOPPING, "L1-WSH-O1"))


def test_what_the_journal_lost_is_told_from_readings_and_stops(line: VirtualLine) -> None:
    whole = backtest(line.data, CHANGE)
    for folder in (line.data / "journal").iterdir():
        enforce(folder, 2**62, line.now(), Keeping(keep_days=10 / 1440), shed=False)
    facts = backtest(line.data, CHANGE)
    warm = facts["warm_up"]
    assert warm["from"] <= rfc3339(START_NS + HOUR_NS // 60)
    assert warm["from_series_hours"] > 0.3
    assert warm["not_judged_in_series"] == [{"asset": STOPPING, "kind": "bearing_element"}]
    stops = [row["active_at"] for row in facts["findings"] if row["condition"] == "stop"]
    assert stops == [row["active_at"] for row in whole["findings"] if row["condition"] == "stop"]
    assert stops[0] < warm["journal_from"]
    assert facts["active"]["tickets"] == whole["active"]["tickets"]


def test_the_kinds_that_need_waveforms_are_kinds() -> None:
    assert set(kinds()) >= WAVEFORM_KINDS
