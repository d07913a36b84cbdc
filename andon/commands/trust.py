"""`andon trust`: which OPC UA servers are trusted and which were refused; with a name, trust one of those."""

import argparse
from pathlib import Path

from cryptography import x509

from andon.clock import wall
from andon.commands import Refused
from andon.commands.place import data_of, place_arguments
from ingest.certificates import application_uris, days_left, fingerprint, name_of
from ingest.pki import Pki


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument(
        "certificate", nargs="?", help="a refused one, by the name of its file or its fingerprint"
    )
    place_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Move one certificate to the trusted ones, or list both kinds. A source that waits for it connects by itself."""
    pki = Pki(data_of(arguments) / "pki")
    if arguments.certificate is None:
        _list("trusted", pki.trusted())
        _list("refused", pki.rejected())
        return 0
    try:
        path, certificate = pki.accept(arguments.certificate)
    except LookupError as error:
        raise Refused(str(error)) from error
    print(f"trusted from now on: {name_of(certificate)}, {fingerprint(certificate)}")
    print(f"to take it back, remove {path}")
    return 0


def _list(what: str, found: list[tuple[Path, x509.Certificate]]) -> None:
    print(f"{what}: {len(found) or 'none'}")
    for path, certificate in found:
        left = days_left(certificate, wall())
        lasts = f"{left} days left" if left >= 0 else "ended"
        print(f"  {path.stem}: {', '.join(application_uris(certificate)) or 'no application'}, {lasts}")
        print(f"    {fingerprint(certificate)}")
