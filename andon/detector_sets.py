"""Which detectors watch the plant, as a whole: a change of them in a few lines, what it touches, and versions.

    note = "less touchy on pumps"
    [[change]]
    class = "pump"                 # or asset = "L1-PMP-01"
    kind = "band_energy"
    parameters = {rise = 0.4}      # or remove = true, or add = true with parameters or without, or reset = ["rise"]
    sweep = {rise = [0.2, 0.3]}    # for a back-test only: each value beside the others

Nothing but the detectors of the plant document changes.
"""

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, model_validator

from andon.config import ConfigError, check
from andon.events import Json
from andon.plant import Asset, DetectorSet, DetectorSettings, Plant

Settings = tuple[DetectorSettings, ...]
SWEPT_AT_MOST = 12


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Change(_Frozen):
    """What changes for one kind of detector of a class or of one asset."""

    asset_class: str | None = Field(default=None, alias="class")
    asset: str | None = None
    kind: str
    parameters: dict[str, Json] = Field(default_factory=dict)
    reset: tuple[str, ...] = Field(default=(), description="parameters that go back to their defaults")
    add: bool = False
    remove: bool = False
    sweep: dict[str, list[float]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_one_thing(self) -> "Change":
        if (self.asset_class is None) == (self.asset is None):
            raise ValueError('say whose detector it is: class = "..." or asset = "...", one of the two')
        if self.remove and (self.add or self.parameters or self.reset or self.sweep):
            raise ValueError("remove = true stands alone")
        if not (self.remove or self.add or self.parameters or self.reset or self.sweep):
            raise ValueError("nothing changes: say parameters, reset, sweep, add = true or remove = true")
        return self

    @property
    def whose(self) -> str:
        """The class or asset in words."""
        return f"class {self.asset_class}" if self.asset is None else f"asset {self.asset}"


class ChangeSet(_Frozen):
    """A whole CHANGE.toml."""

    note: str = ""
    change: tuple[Change, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sweeps_once(self) -> "ChangeSet":
        swept = [values for change in self.change for values in change.sweep.values()]
        if len(swept) > 1:
            raise ValueError("one parameter at a time can be swept")
        if swept and not 1 <= len(swept[0]) <= SWEPT_AT_MOST:
            raise ValueError(f"a sweep has 1 to {SWEPT_AT_MOST} values")
        return self

    @property
    def sweep(self) -> tuple[str, list[float]] | None:
        """The swept parameter and its values, if there is one."""
        return next((pair for change in self.change for pair in change.sweep.items()), None)

    def at(self, value: float) -> "ChangeSet":
        """The same with the swept parameter at this value."""
        changes = [
            one.model_copy(
                update={"parameters": one.parameters | dict.fromkeys(one.sweep, value), "sweep": {}}
            )
            for one in self.change
        ]
        return self.model_copy(update={"change": tuple(changes)})


@dataclass(frozen=True, slots=True)
class Difference:
    """One detector of one asset before and after; None where there is none."""

    asset: str
    kind: str
    before: Mapping[str, Json] | None
    after: Mapping[str, Json] | None


def read_change(text: str, where: str = "the change") -> ChangeSet:
    """The change that a TOML text describes; ConfigError says what is wrong with it, and what was probably meant."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: {error}") from error
    changes = document.get("change", ())
    if not isinstance(changes, list | tuple) or not all(isinstance(one, dict) for one in changes):
        raise ConfigError(f"{where}: each change stands under a line [[change]], in two brackets")
    for place, given in enumerate(changes):
        for key in sorted(set(given) - _KEYS):
            raise ConfigError(f"{where}: change.{place}: unknown key {key!r}{_meant(key, _KEYS)}")
    return check(ChangeSet, document, where)


def changed(plant: Plant, change: ChangeSet) -> Plant:
    """The plant with that change of its detectors; ConfigError if it speaks of what is not there."""
    for one in change.change:
        plant = _with_class(plant, one) if one.asset is None else _with_asset(plant, one)
    return plant


def with_detectors(plant: Plant, of: Plant) -> Plant:
    """The plant with the detectors of another document; assets that one does not know keep their own."""
    theirs = {asset.id: asset.detectors for asset in of.assets}
    assets = tuple(
        asset.model_copy(update={"detectors": theirs.get(asset.id, asset.detectors)})
        for asset in plant.assets
    )
    return plant.model_copy(update={"assets": assets, "classes": of.classes, "detector_set": of.detector_set})


def differences(before: Plant, after: Plant) -> list[Difference]:
    """Every detector of every asset that is another one afterwards."""
    found = []
    for asset in after.assets:
        old = before.asset(asset.id)
        one = {} if old is None else {s.kind: s.parameters for s in before.detectors_of(old)}
        two = {s.kind: s.parameters for s in after.detectors_of(asset)}
        found += [
            Difference(asset.id, kind, one.get(kind), two.get(kind))
            for kind in dict.fromkeys([*one, *two])
            if one.get(kind) != two.get(kind)
        ]
    return found


def version_of(plants: Iterable[Plant], version: int) -> Plant | None:
    """The newest of these documents with that version of the detector set."""
    fits = [plant for plant in plants if plant.detector_set.version == version]
    return max(fits, key=lambda plant: plant.version, default=None)


def next_version(
    before: Plant, after: Plant, *, note: str, by: str, at: str, equals: int | None = None
) -> Plant:
    """The document as the one that follows: both its own version and that of its detector set count up."""
    named = DetectorSet(
        version=before.detector_set.version + 1, note=note.strip(), by=by.strip(), at=at, equals=equals
    )
    return after.model_copy(update={"version": before.version + 1, "detector_set": named})


def _with_class(plant: Plant, change: Change) -> Plant:
    known = {asset.asset_class for asset in plant.assets} | plant.classes.keys()
    name = str(change.asset_class)
    if name not in known:
        raise ConfigError(f"the plant has no class {name!r}{_meant(name, known)}")
    settings = plant.classes.get(name)
    if settings is None:  # the product's own, from here on written out
        settings = plant.detectors_of(Asset(id="any", name="", asset_class=name, path=""))
    return plant.model_copy(update={"classes": {**plant.classes, name: _applied(settings, change)}})


def _with_asset(plant: Plant, change: Change) -> Plant:
    asset = plant.asset(str(change.asset))
    if asset is None:
        ids = [one.id for one in plant.assets]
        raise ConfigError(f"the plant has no asset {change.asset!r}{_meant(str(change.asset), ids)}")
    settings = plant.detectors_of(asset)
    own = {one.kind for one in asset.detectors}
    inherited = {one.kind for one in plant.classes.get(asset.asset_class, ())}
    if change.remove and change.kind in inherited:
        raise ConfigError(
            f"asset {asset.id} has {change.kind} from its class {asset.asset_class}: remove it there"
        )
    kept = _applied(settings, change)
    if not plant.takes_defaults(asset):
        kept = tuple(one for one in kept if one.kind in own or one.kind == change.kind)
    after = asset.model_copy(update={"detectors": kept})
    assets = tuple(after if one.id == asset.id else one for one in plant.assets)
    return plant.model_copy(update={"assets": assets})


def _applied(settings: Settings, change: Change) -> Settings:
    """These settings with the change; each kind stands once."""
    kinds = [one.kind for one in settings]
    if change.kind not in kinds:
        if not change.add:
            raise ConfigError(
                f"{change.whose} has no detector {change.kind!r}{_meant(change.kind, kinds)} "
                "To give it one, say add = true."
            )
        return (*settings, DetectorSettings(kind=change.kind, parameters=change.parameters))
    if change.add:
        raise ConfigError(f"{change.whose} has a detector {change.kind!r} already: leave out add = true")
    if change.remove:
        return tuple(one for one in settings if one.kind != change.kind)
    given = next(one.parameters for one in settings if one.kind == change.kind)
    for name in change.reset:
        if name not in given:
            said = _meant(name, given) if given else "."
            raise ConfigError(
                f"{change.whose}, {change.kind}: {name!r} is not set, so it cannot be reset{said}"
            )
    return tuple(_altered(one, change) if one.kind == change.kind else one for one in settings)


def _altered(setting: DetectorSettings, change: Change) -> DetectorSettings:
    kept = {name: value for name, value in setting.parameters.items() if name not in change.reset}
    return setting.model_copy(update={"parameters": kept | change.parameters})


def text_of(change: ChangeSet) -> str:
    """The change as the TOML that `read_change` reads.

    >>> calmer = Change.model_validate({"class": "pump", "kind": "band_energy", "parameters": {"rise": 0.4}})
    >>> print(text_of(ChangeSet(change=(calmer,))))
    note = ""
    <BLANKLINE>
    [[change]]
    class = "pump"
    kind = "band_energy"
    parameters = {rise = 0.4}
    <BLANKLINE>
    """
    lines = [f"note = {json.dumps(change.note, ensure_ascii=False)}"]
    for one in change.change:
        said = one.model_dump(by_alias=True, exclude_defaults=True)
        lines += ["", "[[change]]", *(f"{key} = {_toml(value)}" for key, value in said.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Json) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _meant(given: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; there is: {', '.join(names[:20])}."


_KEYS = frozenset(field.alias or name for name, field in Change.model_fields.items())
