"""`andon demo`: a simulated plant with known truth, at work on a real line: MQTT, OPC UA, journal, tickets, pages."""

import argparse
import contextlib
import json
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.live import Live

from andon import clock
from andon.clock import SharedStory
from andon.commands import Refused, positive
from andon.commands.finished import caught_up, report
from andon.commands.output import write_json
from andon.commands.screen import Watch, draw, stop_on_signals
from andon.config import Source, Web
from andon.datadir import Busy, only_instance, open_store
from andon.events import SECOND_NS
from andon.installation import Installation, free_port, is_free
from andon.supervisor import ChildDied
from ingest.credentials import hash_password
from simulators.furnishing import STORE, furnished
from simulators.messages import NAMESPACE
from simulators.plant import Simulation
from ticketing.parts import catalogue, sheets
from ticketing.service import Tickets

DEFAULT_PORT = 8080
DEFAULT_SEED = 1
SOURCES = ("plant_mqtt", "plant_opcua")
MARGIN_S = 1.5  # the story's time is saved every second: a killed demo goes on a little later, never earlier
DRAIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Story:
    """Which story is told, from when, and how far it has come."""

    seed: int
    start_ns: int
    reached_ns: int
    speed: float
    healthy: bool


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument(
        "--headless", action="store_true", help="no browser, no screen; ends by itself with --seconds"
    )
    parser.add_argument("--seconds", type=positive, help="end after so many seconds")
    parser.add_argument(
        "--seed", type=int, help="which machines fail, and when (default 1; kept for a second start)"
    )
    parser.add_argument("--speed", type=positive, default=60.0, help="story seconds per second (default 60)")
    parser.add_argument("--healthy", action="store_true", help="nothing fails in this plant")
    parser.add_argument("--port", type=int, help="port of the console (default 8080, or any free one)")
    parser.add_argument(
        "--data", type=Path, help="where to keep it (default var/demo; --headless: a folder that goes)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write tickets, problems, counters and truth here"
    )


def run(arguments: argparse.Namespace) -> int:
    """Tell the story until Ctrl-C or for `--seconds`; 0 unless a planted fault was missed or a false ticket opened."""
    data: Path = arguments.data or (
        Path(tempfile.mkdtemp(prefix="andon-")) if arguments.headless else Path("var/demo")
    )
    goes = arguments.headless and arguments.data is None
    try:
        with only_instance(data):
            return _run(arguments, data.absolute())
    except (Busy, ChildDied, TimeoutError) as error:
        raise Refused(str(error)) from error
    finally:
        if goes:
            shutil.rmtree(data, ignore_errors=True)


def _run(arguments: argparse.Namespace, data: Path) -> int:
    story = _story(data, arguments)
    told = SharedStory(data / "clock.json")
    told.stand_at(story.reached_ns)
    stopping = threading.Event()
    stop_on_signals(stopping)
    simulation = Simulation(story.seed, story.start_ns, healthy=story.healthy)
    line = Installation(data, story=told)
    end_ns = story.reached_ns
    try:
        _start(line, simulation, story, arguments)
        told.go(story.speed)
        if arguments.headless:
            print(f"demo: seed {story.seed}, {story.speed:g} × real time, {line.link}", flush=True)
        _tell(line, story, told, arguments, stopping)
        end_ns = told()
        _drain(line, 0.0 if stopping.is_set() else DRAIN_S)
    finally:
        line.stop()
        _save(data, replace(story, reached_ns=told()))
    facts = report(data, simulation.truth(end_ns), end_ns)
    if arguments.json is not None:
        write_json(arguments.json, facts)
    truth = facts["truth"]
    print(f"{len(facts['tickets'])} tickets, {len(facts['problems'])} root-cause tasks; ", end="")
    print(
        f"planted {truth['planted']}, found {truth['found']}, missed {len(truth['missed'])}, false {len(truth['false'])}"
    )
    return int(bool(truth["missed"] or truth["false"])) if arguments.headless else 0


def _start(line: Installation, simulation: Simulation, story: Story, arguments: argparse.Namespace) -> None:
    """Start all parts together and wait until each is ready; the story stands still meanwhile."""
    password, mqtt_port, opcua_port = secrets.token_urlsafe(18), free_port(), free_port()
    users = {"plant": {"password": hash_password(password), "topics": ["andon/v1"]}}
    items = [
        {"node": f"nsu={NAMESPACE};s={node}", "asset": asset, "channel": channel}
        for node, asset, channel, _ in simulation.variables()
    ]
    opcua = {
        "kind": "opcua",
        "url": f"opc.tcp://127.0.0.1:{opcua_port}",
        "security": "none",
        "allow_insecure": True,
        "items": items,
        "events": {"namespace": NAMESPACE},
    }
    line.start_source(
        "plant_mqtt", Source.model_validate({"kind": "listener", "port": mqtt_port, "users": users})
    )
    line.start_plant(
        seed=story.seed,
        start_ns=story.start_ns,
        healthy=story.healthy,
        mqtt_port=mqtt_port,
        username="plant",
        password=password,
        opcua_port=opcua_port,
        progress=str(line.data / "plant.json"),
    )
    line.start_source("plant_opcua", Source.model_validate(opcua))
    plant = furnished(simulation.plant, story.start_ns)
    line.start_engine(plant.model_dump(mode="json"), list(SOURCES))
    line.start_web(Web(port=_web_port(arguments)))
    print("starting", end="", flush=True)
    for name in tuple(line.supervisor.children):
        print(f" · {name}", end="", flush=True)
        line.wait(name)
    print()
    line.turn()
    _fill_the_store(line.data, story.start_ns)


def _fill_the_store(data: Path, now_ns: int) -> None:
    """What is there at the first start; from then on the store is what people make of it."""
    database = open_store(data)
    try:
        with Tickets(database).transaction(now_ns) as book:
            if not catalogue.parts(book.conn, retired=True, limit=1):
                for sheet in STORE:
                    sheets.take_in(book, sheet.encode(), by="demo")
    finally:
        database.dispose()


def _tell(
    line: Installation,
    story: Story,
    told: SharedStory,
    arguments: argparse.Namespace,
    stopping: threading.Event,
) -> None:
    """Watch the parts, save how far the story has come, and show it."""
    ends_s = time.monotonic() + arguments.seconds if arguments.seconds else float("inf")
    with _screen(arguments, line) as show:
        while not stopping.wait(0.5) and time.monotonic() < ends_s:
            line.turn()
            _save(line.data, replace(story, reached_ns=told()))
            show(told())


@contextlib.contextmanager
def _screen(arguments: argparse.Namespace, line: Installation) -> Iterator[Callable[[int], None]]:
    """What to call with the story's time at each turn."""
    if arguments.headless:
        yield lambda _now_ns: None
        return
    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(line.link)
    watch = Watch(line, arguments.speed)
    with Live(console=Console(), refresh_per_second=2) as live:
        yield lambda now_ns: live.update(draw(watch.scene(now_ns)))


def _drain(line: Installation, wait_s: float) -> None:
    """End the story: nothing more comes in; wait for the engine, which also takes what is left when it stops."""
    for name in ("plant_opcua", "plant", "plant_mqtt"):
        line.supervisor.stop(name)
    until_s = time.monotonic() + wait_s
    while not caught_up(line.data) and time.monotonic() < until_s:
        time.sleep(0.1)


def _story(data: Path, arguments: argparse.Namespace) -> Story:
    """The story of this data directory, told on from where it stopped, or a new one that begins now."""
    with contextlib.suppress(FileNotFoundError):
        kept = Story(**json.loads((data / "story.json").read_text()))
        if arguments.seed not in {None, kept.seed}:
            raise Refused(
                f"{data} tells the story of seed {kept.seed}; give another --data for seed {arguments.seed}"
            )
        reached_ns = kept.reached_ns + int(MARGIN_S * kept.speed * SECOND_NS)
        return replace(kept, reached_ns=reached_ns, speed=arguments.speed)
    start_ns = clock.wall() // SECOND_NS * SECOND_NS
    seed = DEFAULT_SEED if arguments.seed is None else arguments.seed
    story = Story(seed, start_ns, start_ns, arguments.speed, arguments.healthy)
    _save(data, story)
    return story


def _save(data: Path, story: Story) -> None:
    partial = data / "story.partial"
    partial.write_text(json.dumps(asdict(story)))
    partial.rename(data / "story.json")


def _web_port(arguments: argparse.Namespace) -> int:
    """The port asked for; else the usual one if it is free; else any."""
    if arguments.port is not None:
        return int(arguments.port)
    return 0 if arguments.headless or not is_free(DEFAULT_PORT) else DEFAULT_PORT
