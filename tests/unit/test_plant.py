"""The plant document: unique ids, and detectors by class with an asset's own settings in their place."""

import pytest

from andon.config import ConfigError, check
from andon.plant import Asset, DetectorSettings, Plant


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
