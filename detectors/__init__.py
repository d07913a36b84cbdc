"""Detectors: functions of the events so far. One file per kind; the file name is its `kind` in the configuration."""

import importlib
import pkgutil
from typing import Any

from andon.config import ConfigError, check
from andon.plant import Asset, Plant
from andon.ports import Detector


def kinds() -> list[str]:
    """The kinds there are: every file of this folder that holds a `Detector`."""
    return [name for name in _files() if hasattr(importlib.import_module(f"{__name__}.{name}"), "Detector")]


def detector_class(kind: str) -> Any:
    """The class of a kind, loaded when it is asked for. ConfigError names the kinds there are."""
    found = (
        getattr(importlib.import_module(f"{__name__}.{kind}"), "Detector", None) if kind in _files() else None
    )
    if found is None:
        raise ConfigError(f"there is no detector of kind {kind!r}; kinds: {', '.join(kinds())}")
    return found


def build(asset: Asset, plant: Plant) -> list[Detector]:
    """The detectors of an asset, in the order of its settings. ConfigError if a setting cannot be used."""
    made: list[Detector] = []
    for setting in plant.detectors_of(asset):
        detector = detector_class(setting.kind)
        where = f"asset {asset.id}, detector {setting.kind}"
        made.append(detector(asset, check(detector.Parameters, setting.parameters, where)))
    return made


def _files() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(__path__)]
