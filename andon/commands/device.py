"""`andon device`: credentials for one device: a random password shown once, and the lines for andon.toml."""

import argparse
import secrets

from ingest.credentials import hash_password


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("name")
    parser.add_argument("--source", default="floor", help="the listener in andon.toml (default floor)")
    parser.add_argument(
        "--topic", action="append", default=[], help="it may publish here and below (default: anywhere)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the password and the listener's entry; nothing is stored, so that nothing can leak."""
    password = secrets.token_urlsafe(18)
    topics = ", ".join(f'"{topic}"' for topic in arguments.topic)
    print(f"password of {arguments.name}, shown once: {password}\n")
    print(f"[sources.{arguments.source}.users.{arguments.name}]")
    print(f'password = "{hash_password(password)}"')
    if topics:
        print(f"topics = [{topics}]")
    return 0
