"""Sources by their kind: the file in ingest/ that collects, and its settings checked."""

import importlib
import importlib.util
from collections.abc import Mapping
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
    """ConfigError if there is no source in the file at `path`, or one that cannot be started as it stands there."""
    if not sources:
        raise ConfigError(f'{path} names no source; add one, for example [sources.floor] kind = "listener"')
    for name, source in sources.items():
        parameters_of(name, source.kind, source.parameters)
