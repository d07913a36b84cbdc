"""`andon certificate`: Andon's own OPC UA certificate, made if there is none; what a server's keeper needs to trust it."""

import argparse

from andon.clock import wall
from andon.commands.place import data_of, place_arguments
from ingest.certificates import application_uris, days_left, fingerprint, name_of
from ingest.pki import Pki


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument(
        "--renew", action="store_true", help="make a new one; every server has to trust it anew"
    )
    place_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print where it is, what it says of itself, and its fingerprint."""
    own = Pki(data_of(arguments) / "pki").own(wall(), renew=arguments.renew)
    print(f"{name_of(own.certificate)}: {own.path}")
    print(f"application: {', '.join(application_uris(own.certificate))}")
    print(f"fingerprint (SHA-256): {fingerprint(own.certificate)}")
    print(
        f"ends on {own.certificate.not_valid_after_utc:%Y-%m-%d}, in {days_left(own.certificate, wall())} days"
    )
    return 0
