"""The plant document: unique ids, and detectors by class with an asset's own settings in their place."""

import math

import pytest
from pydantic import ValidationError

from andon import bearings
from andon.config import ConfigError, check
from andon.plant import Asset, Bearing, DetectorSettings, Plant


def asset(asset_id: str, *own: DetectorSettings) -> Asset:
    return Asset(id=asset_id, name=asset_id, asset_class="pump", path="e/s/a/L1/c", detectors=own)


def test_an_assets_own_setting_replaces_its_classes() -> None:
    zones, silent = DetectorSettings(kind="velocity_zones"), DetectorSettings(kind="silent_sensor")
    own = DetectorSettings(kind="velocity_zones", parameters={"group": 1})
    extra = DetectorSettings(kind="stop_alarm")
    plant = Plant(name="p", assets=(asset("M1", own, extra), asset("M2")), classes={"pump": (zones, silent)})
    assert plant.detectors_of(plant.assets[0]) == (own, silent, extra)
    assert plant.detectors_of(plant.assets[1]) == (zones, silent)


def test_ids_are_unique() -> None:
    with pytest.raises(ValueError, match="twice: M1"):
        Plant(name="p", assets=(asset("M1"), asset("M1")))


def test_an_unknown_key_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'time_zone'"):
        check(Plant, {"name": "p", "timezone": "UTC"}, "plant.json")


def test_the_line_is_the_fourth_level() -> None:
    assert asset("M1").line == "L1"


def of_bearing(bearing: object, **more: object) -> Bearing:
    """The bearing of a point in a plant document, as it was understood."""
    point = {"id": "DE", "component": "bearing_de", "bearing": bearing}
    asset = {"id": "M1", "name": "M1", "asset_class": "pump", "path": "e/s/a/l/c", "points": [point]}
    found = Plant.model_validate({"name": "plant", "assets": [asset], **more}).assets[0].points[0].bearing
    assert found is not None
    return found


def test_a_common_bearing_is_named_by_its_designation_alone() -> None:
    found = of_bearing("SKF 6205-2RS1/C3")
    assert found.designation == "SKF 6205-2RS1/C3"
    assert (found.rolling_elements, found.element_diameter, found.pitch_diameter) == (9, 7.94, 39.04)


def test_an_own_entry_comes_before_a_common_one() -> None:
    own = {"designation": "6205", "rolling_elements": 8, "element_diameter": 8.7, "pitch_diameter": 39.0}
    assert of_bearing("6205", bearings=[own]).rolling_elements == 8
    assert of_bearing("6206", bearings=[own]).rolling_elements == 9


def test_a_bearing_that_nobody_knows_is_refused_with_its_name() -> None:
    with pytest.raises(ValidationError, match="'X-17' is not known"):
        of_bearing("X-17")


@pytest.mark.parametrize("name", list(bearings.COMMON))
def test_every_common_bearing_is_possible(name: str) -> None:
    """The elements fit on the pitch circle without touching, and fill at least half of it."""
    elements, diameter, pitch, _ = bearings.COMMON[name]
    assert bearings.find(name) == bearings.COMMON[name]
    assert name in bearings.search(name)
    assert 0.5 < elements * diameter / (math.pi * pitch) < 1
