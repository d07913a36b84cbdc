"""How a verb is told of a broker or server: its address, and who asks. A secret comes from the environment or a file."""

import argparse
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from andon.commands import Refused
from andon.config import Secret

PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class Place:
    """A broker or listener, and who comes to it; `context` if it is spoken to by TLS."""

    host: str
    port: int
    user: str | None
    password: str | None
    ca: Path | None
    context: ssl.SSLContext | None


def broker_arguments(parser: argparse.ArgumentParser) -> None:
    """Who asks, and by whose word the server is who it says."""
    parser.add_argument("--user", help="user name")
    parser.add_argument("--password-env", metavar="NAME", help="environment variable that holds the password")
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="or the file, readable by its owner alone"
    )
    parser.add_argument(
        "--ca", type=Path, metavar="FILE", help="PEM file of the broker's authority, for mqtts"
    )


def broker_at(url: str, arguments: argparse.Namespace) -> Place:
    """What the address and the arguments say together; Refused says what is wrong with it."""
    place = urlsplit(url)
    if place.scheme not in PORTS:
        raise Refused(f"{url}: give mqtt://host[:port] or mqtts://host[:port]")
    try:
        port = place.port or PORTS[place.scheme]
    except ValueError as error:
        raise Refused(f"{url}: {error}") from error
    if not place.hostname or place.password is not None:
        raise Refused("give mqtt://host:port; a password comes from --password-env or --password-file")
    context = None
    if place.scheme == "mqtts":
        try:
            context = ssl.create_default_context(cafile=arguments.ca)
        except OSError as error:
            raise Refused(f"{arguments.ca} cannot be read: {error}") from error
    user = arguments.user or place.username
    return Place(place.hostname, port, user, password_of(arguments), arguments.ca, context)


def password_of(arguments: argparse.Namespace) -> str | None:
    """The password from where it was said to be, None if nothing was said."""
    if arguments.password_file is not None:
        return Secret(file=arguments.password_file).read()
    if arguments.password_env is None:
        return None
    password = os.environ.get(arguments.password_env)
    if password is None:
        raise Refused(f"the environment has no {arguments.password_env}")
    return password
