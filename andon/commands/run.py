"""`andon run`: the installation that andon.toml describes, until Ctrl-C."""

import argparse
import importlib
import json
import threading
from pathlib import Path

from andon.commands import Refused
from andon.commands.screen import stop_on_signals
from andon.config import Config, ConfigError, check, load_config
from andon.datadir import Busy, only_instance
from andon.installation import Installation
from andon.plant import Plant
from andon.supervisor import ChildDied


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("--config", type=Path, default=Path("andon.toml"))
    parser.add_argument("--plant", type=Path, metavar="FILE", help="plant document to bring into force first")


def run(arguments: argparse.Namespace) -> int:
    """Start everything, watch it, stop it in order."""
    config = load_config(arguments.config)
    if not config.sources:
        raise ConfigError(
            f'{arguments.config} names no source; add one, for example [sources.floor] kind = "listener"'
        )
    plant = read_plant(arguments.plant) if arguments.plant else None
    try:
        with only_instance(config.data):
            return _run(config, plant)
    except (Busy, ChildDied, TimeoutError) as error:
        raise Refused(str(error)) from error


def read_plant(path: Path) -> Plant:
    """A plant document from its file, its detectors' settings included; ConfigError says what is wrong with it."""
    try:
        plant = check(Plant, json.loads(path.read_text("utf-8")), str(path))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from error
    importlib.import_module("andon.app").check_detectors(plant)  # loaded only if there is a document to check
    return plant


def _run(config: Config, plant: Plant | None) -> int:
    installation = Installation(config.data.absolute())
    stopping = threading.Event()
    stop_on_signals(stopping)
    try:
        installation.start_engine(plant.model_dump(mode="json") if plant else None, list(config.sources))
        for name, source in config.sources.items():
            installation.start_source(name, source)
        installation.start_web(config.web)
        for name in tuple(installation.supervisor.children):
            print(f"{name}: {installation.wait(name)}")
        print(f"console: {installation.link}")
        while not stopping.wait(0.5):
            for name in installation.turn():
                print(f"{name} is down and will be started again; see {config.data / 'logs' / name}.log")
    finally:
        installation.stop()
    return 0
