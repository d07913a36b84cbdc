"""Detectors: functions of the events so far. One file per kind; the file name is its `kind` in the configuration."""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from andon.config import ConfigError, check
from andon.events import Json
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


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter of a detector as it stands: `changed` says that the plant document gives it.

    `choices` is all that it can be, where these are words; `title` is for those who name it in another language.
    """

    name: str
    value: Json
    default: Json
    changed: bool
    description: str
    low: float | None
    high: float | None
    choices: tuple[str, ...] = ()
    title: str = ""


def settings_of(kind: str, given: Mapping[str, Json]) -> list[Setting]:
    """Every parameter of a kind with its sentence and its range, in the order of its model."""
    model = detector_class(kind).Parameters
    defaults = model().model_dump(mode="json")
    standing = check(model, dict(given), f"detector {kind}").model_dump(mode="json")
    return [
        Setting(
            name=name,
            value=standing[name],
            default=defaults[name],
            changed=name in given,
            description=field.description or "",
            low=_bound(field.metadata, "ge", "gt"),
            high=_bound(field.metadata, "le", "lt"),
            choices=get_args(field.annotation) if get_origin(field.annotation) is Literal else (),
        )
        for name, field in model.model_fields.items()
    ]


def _bound(metadata: Sequence[Any], *names: str) -> float | None:
    found = (getattr(rule, name, None) for rule in metadata for name in names)
    return next((value for value in found if value is not None), None)


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
