"""Class defaults: every class has a set that builds, and what a document says always wins."""

from pathlib import Path

import pytest

from andon.class_defaults import DEFAULTS, default_kinds
from andon.commands.check import _plant
from andon.plant import Asset, DetectorSettings, Plant, Point
from detectors import build, kinds
from simulators.machines import MACHINES
from tests.vibration import BEARING

POINTS = (
    Point(id="DE", component="bearing_de", kind="waveform", bearing=BEARING, speed_hz=24.7, period_s=10),
    Point(id="VEL", component="bearing_de", quantities={"velocity_rms": "mm/s"}, period_s=10),
)
CLASSES = sorted({*DEFAULTS, *(machine.asset_class for machine in MACHINES), "never_heard_of"})


def asset(asset_class: str, *own: DetectorSettings) -> Asset:
    return Asset(
        id="M1",
        name="M1",
        asset_class=asset_class,
        path="e/s/a/l/c",
        power_kw=75,
        points=POINTS,
        detectors=own,
    )


@pytest.mark.parametrize("asset_class", CLASSES)
def test_every_class_of_the_templates_has_a_set_that_builds_without_tuning(asset_class: str) -> None:
    one = asset(asset_class)
    built = build(one, Plant(name="p", assets=(one,)))
    assert tuple(detector.kind for detector in built) == default_kinds(asset_class)
    assert {"silent_sensor", "stop_alarm", "band_energy"} <= {detector.kind for detector in built}


def test_a_row_names_each_kind_once_and_only_kinds_that_there_are() -> None:
    assert all(len(set(row)) == len(row) and set(row) <= set(kinds()) for row in DEFAULTS.values())


def test_what_the_document_says_wins() -> None:
    silent, zones = DetectorSettings(kind="silent_sensor"), DetectorSettings(kind="velocity_zones")
    plain, own = asset("pump"), asset("pump", zones)
    assert Plant(name="p", classes={"pump": (silent,)}).detectors_of(plain) == (silent,)
    assert Plant(name="p", classes={"pump": ()}).detectors_of(plain) == ()
    assert Plant(name="p").detectors_of(own) == (zones,)
    assert len(Plant(name="p", classes={"fan": ()}).detectors_of(plain)) == len(DEFAULTS["pump"])


def test_zones_are_no_measure_of_machines_that_strike_or_cut() -> None:
    assert all(
        "velocity_zones" not in DEFAULTS[name] for name in ("press", "die_casting_machine", "machine_tool")
    )


def test_the_check_says_who_has_the_products_own_set(tmp_path: Path) -> None:
    document = Plant(name="p", assets=(asset("pump"),))
    file = tmp_path / "plant.json"
    file.write_text(document.model_dump_json())
    said = {verdict.name: verdict.text for verdict in _plant(file)}
    assert said["class pump"].startswith(
        "not under classes: 1 of the 1 assets have velocity_zones, velocity_change"
    )
    file.write_text(document.model_copy(update={"classes": {"pump": ()}}).model_dump_json())
    assert "class pump" not in {verdict.name for verdict in _plant(file)}


def test_the_check_asks_whether_a_class_of_no_row_is_a_misspelt_one(tmp_path: Path) -> None:
    file = tmp_path / "plant.json"
    file.write_text(
        Plant(
            name="p", assets=(asset("pmup"), asset("bottle_washer").model_copy(update={"id": "W1"}))
        ).model_dump_json()
    )
    said = {verdict.name: verdict for verdict in _plant(file)}
    assert (said["class pmup"].state, "did you mean 'pump'?" in said["class pmup"].cure) == ("warning", True)
    assert said["class bottle_washer"].state == "good"
