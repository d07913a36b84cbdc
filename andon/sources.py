"""Sources by their kind: the file in ingest/ that collects, and its settings checked."""

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

from pydantic import BaseModel

from andon.config import ConfigError, Source, check
from andon.events import Json


def kind_of(name: str, kind: str) -> ModuleType:
    """The file in ingest/ that is this kind; ConfigError if there is none."""
    module = importlib.import_module(f"ingest.{kind}") if importlib.util.find_spec(f"ingest.{kind}") else None
    if module is None or not hasattr(module, "run"):
        raise ConfigError(f"source {name}: there is no kind {kind!r}; use listener, mqtt or opcua")
    return module


def parameters_of(name: str, kind: str, settings: Mapping[str, Json]) -> BaseModel:
    """The kind's settings, checked; ConfigError says what to change."""
    parameters: BaseModel = check(kind_of(name, kind).Parameters, settings, f"source {name}")
    return parameters


def check_sources(sources: Mapping[str, Source], path: Path) -> None:
    """ConfigError if there is no source in the file at `path`, or one that cannot work as it stands there."""
    if not sources:
        raise ConfigError(f'{path} names no source; add one, for example [sources.floor] kind = "listener"')
    known = {name: parameters_of(name, source.kind, source.parameters) for name, source in sources.items()}
    for problem in rivals(known):
        raise ConfigError(f"{path}: {problem}")


def rivals(parameters: Mapping[str, BaseModel]) -> Iterator[str]:
    """Which sources want what only one can have: their `claim`. Two would take it from each other for ever."""
    owners: dict[str, str] = {}
    for name, of_source in parameters.items():
        claim: str = getattr(of_source, "claim", "")
        if claim and owners.setdefault(claim, name) != name:
            yield f"the sources {owners[claim]} and {name} cannot both have {claim}"
