"""`andon simulate`: drives any installation from outside with the simulated plant, and writes down what it should find."""

import argparse
import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from andon.clock import wall
from andon.commands import Refused, positive
from andon.commands.connection import broker_arguments, broker_at
from andon.commands.output import write_json
from andon.commands.plant import text_of
from andon.events import SECOND_NS, Json, rfc3339
from simulators import outside
from simulators.foreign import COMPANY
from simulators.messages import Channel
from simulators.outside import Broker, Pace, Part
from simulators.plant import Simulation

BEFORE_STOP_S = 90.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument(
        "--mqtt", metavar="URL", help="publish to this broker or listener: mqtt(s)://host[:port]"
    )
    parser.add_argument("--opcua", metavar="PORT", help="serve OPC UA here, on this machine alone")
    broker_arguments(parser)
    parser.add_argument(
        "--foreign",
        action="store_true",
        help=f"topics ({COMPANY}/hall1/press9/alarm), JSON, nodes and alarms that are not Andon's: for andon discover",
    )
    parser.add_argument(
        "--machines", default="", metavar="A,B", help="only these (default: all that the way is for)"
    )
    parser.add_argument("--seed", type=int, default=1, help="which machines fail, and when (default 1)")
    parser.add_argument("--healthy", action="store_true", help="nothing fails")
    parser.add_argument(
        "--speed",
        type=positive,
        default=1.0,
        help="more than 1: begin in the past, so much faster, until the present is reached (default 1)",
    )
    parser.add_argument("--seconds", type=positive, help="end after so many seconds")
    parser.add_argument(
        "--stop-after",
        type=positive,
        metavar="S",
        help=f"pick the story up so many seconds before its first stop (with --foreign {BEFORE_STOP_S:g}; "
        "else from its beginning, where detectors learn what is normal)",
    )
    parser.add_argument(
        "--truth", type=Path, metavar="FILE", help="write here what an installation should find"
    )
    parser.add_argument("--plant", type=Path, metavar="FILE", help="write the plant document that fits")


def run(arguments: argparse.Namespace) -> int:
    """Tell the story until Ctrl-C or for `--seconds`."""
    channels: list[Channel] = []
    channels += ["mqtt"] if arguments.mqtt else []
    channels += ["opcua"] if arguments.opcua else []
    if not channels and not arguments.plant:
        raise Refused("say where to: --mqtt URL, --opcua PORT, or both")
    wanted = [name for name in arguments.machines.split(",") if name]
    try:
        part = outside.part_of(
            wanted,
            channels or ["mqtt", "opcua"],
            is_foreign=arguments.foreign,
            is_hurried=arguments.speed > 1,
        )
    except ValueError as error:
        raise Refused(str(error)) from error
    if arguments.plant:
        arguments.plant.write_text(text_of(outside.plant_of(part)), "utf-8")
        print(f"{arguments.plant}: the plant document that fits, {len(part.machines)} machines")
    if not channels:
        return 0
    logging.getLogger("asyncua").addHandler(logging.NullHandler())  # that nothing is secured here is known
    broker = _broker(arguments) if arguments.mqtt else None
    port = _port(arguments.opcua) if arguments.opcua else None
    try:
        asyncio.run(_tell(arguments, part, broker, port))
    except (outside.Unreachable, OSError) as error:
        raise Refused(str(error)) from error
    except ExceptionGroup as errors:
        raise Refused("; ".join(map(str, errors.exceptions))) from errors
    return 0


async def _tell(arguments: argparse.Namespace, part: Part, broker: Broker | None, port: int | None) -> None:
    from_ns = outside.begins_ns(wall(), arguments.speed, arguments.seconds)
    before_s = arguments.stop_after or (BEFORE_STOP_S if arguments.foreign else None)
    skipped_ns = 0
    if before_s is not None:
        first_ns = outside.first_stop_ns(arguments.seed, part.machines)
        skipped_ns = max(0, first_ns - round(before_s * SECOND_NS))
    simulation = Simulation(
        arguments.seed, from_ns - skipped_ns, healthy=arguments.healthy, only=part.machines
    )
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    if arguments.seconds is not None:
        asyncio.get_running_loop().call_later(arguments.seconds, stopping.set)
    news = _news(simulation, part, from_ns, arguments.truth)
    now = Pace(from_ns, arguments.speed, wall, time.monotonic())
    await outside.tell(
        simulation,
        part,
        from_ns,
        now,
        broker=broker,
        opcua_port=port,
        ready=lambda where: print(f"{len(part.machines)} machines at {where}; Ctrl-C stops them", flush=True),
        report=news,
        stopping=stopping,
    )


def _news(
    simulation: Simulation, part: Part, from_ns: int, truth: Path | None
) -> Callable[[Mapping[str, Json]], None]:
    """What to call each second: says what has just gone wrong and how much was sent, and keeps the truth."""
    told: set[str] = set()
    said_s = time.monotonic()

    def say(facts: Mapping[str, Json]) -> None:
        nonlocal said_s
        document = outside.truth_of(simulation, part, from_ns, int(facts["told_ns"]))
        for planted in document["planted"]:
            if planted["id"] not in told and planted["expects"] != "rca":
                told.add(planted["id"])
                print(
                    f"{planted['onset']}  {planted['asset']}: {planted['condition']} {planted['component']}"
                )
        if truth is not None:
            write_json(truth, document)
        if time.monotonic() - said_s >= 10.0:
            said_s = time.monotonic()
            acknowledged = f", {facts['acknowledged']:,} acknowledged" if "acknowledged" in facts else ""
            print(f"{rfc3339(int(facts['told_ns']))}  {facts['sent']:,} told{acknowledged}")

    return say


def _broker(arguments: argparse.Namespace) -> Broker:
    place = broker_at(arguments.mqtt, arguments)
    return Broker(place.host, place.port, place.user, place.password, place.context)


def _port(told: str) -> int:
    """The port, or the one of an opc.tcp address on this machine."""
    with contextlib.suppress(ValueError):
        place = urlsplit(told if "://" in told else f"opc.tcp://127.0.0.1:{told}")
        if (
            place.scheme == "opc.tcp"
            and place.hostname in {"127.0.0.1", "localhost"}
            and place.port is not None
        ):
            return place.port
    raise Refused(f"{told}: give a port, or opc.tcp://127.0.0.1:port; it is served on this machine alone")
