"""The certificates of one installation as folders, so that a person can see and mend them with any tool.

    pki/own/certs, pki/own/private      Andon's own certificate and key, made on first use
    pki/trusted/certs, pki/trusted/crl  servers, and authorities whose servers are all trusted
    pki/issuers/certs, pki/issuers/crl  authorities that complete a chain and are not trusted by that
    pki/rejected                        what was refused, the newest `REJECTED_MAX`

Source: OPC 10000-12, annex F (the folders of a certificate store).
"""

import contextlib
import fcntl
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ingest.certificates import Trust, fingerprint, load, make_own, name_of

REJECTED_MAX = 50
FILE_MAX_BYTES = 256 * 1024
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Own:
    """Andon's own application certificate and the private key that belongs to it (PEM), with their files."""

    certificate: x509.Certificate
    key: bytes
    path: Path
    key_path: Path


class Pki:
    """The folders under `root`; nothing is held in memory, so that what a person changes counts at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def own(self, now_ns: int, *, renew: bool = False) -> Own:
        """Our own certificate, made if there is none, or if it is to be renewed; one process makes it, others wait."""
        certificate = self._own
        key = self.root / "own" / "private" / "andon.pem"
        if renew or not (certificate.exists() and key.exists()):
            with self._alone():
                if renew or not (certificate.exists() and key.exists()):
                    made, pem = make_own(socket.gethostname(), now_ns)
                    _write(key, pem, 0o600)
                    _write(certificate, made.public_bytes(Encoding.DER), 0o644)
        return Own(load(certificate.read_bytes()), key.read_bytes(), certificate, key)

    def has_own(self) -> bool:
        """Whether our own certificate has been made."""
        return self._own.exists()

    @property
    def _own(self) -> Path:
        return self.root / "own" / "certs" / "andon.der"

    def trust(self) -> Trust:
        """Whom to trust, as the folders say now; a file that is no certificate is passed over and said."""
        return Trust(
            [found for _, found in self.trusted()],
            [found for _, found in _read(self.root / "issuers" / "certs", load)],
            [
                found
                for place in ("issuers", "trusted")
                for _, found in _read(self.root / place / "crl", _load_revocations)
            ],
        )

    def trusted(self) -> list[tuple[Path, x509.Certificate]]:
        """The files of what is trusted."""
        return list(_read(self.root / "trusted" / "certs", load))

    def rejected(self) -> list[tuple[Path, x509.Certificate]]:
        """The files of what was refused."""
        return list(_read(self.root / "rejected", load))

    def reject(self, certificate: x509.Certificate) -> Path:
        """Keep a refused certificate for a person to look at; the oldest ones make room. Gives its file."""
        path = self.root / "rejected" / _file_name(certificate)
        if not path.exists():
            _write(path, certificate.public_bytes(Encoding.DER), 0o644)
            by_age = sorted(path.parent.glob("*.der"), key=lambda each: each.stat().st_mtime_ns)
            for old in by_age[:-REJECTED_MAX]:
                old.unlink(missing_ok=True)
        return path

    def accept(self, wanted: str) -> tuple[Path, x509.Certificate]:
        """Move the one rejected certificate of that name or fingerprint (8 digits or more) to the trusted ones.

        LookupError says what there is, if it is none or several.
        """
        rejected = self.rejected()
        digits = re.sub(r"[^0-9a-f]", "", wanted.lower())
        found = [
            (path, certificate)
            for path, certificate in rejected
            if wanted in {path.name, path.stem, name_of(certificate)}
            or (len(digits) >= 8 and fingerprint(certificate).startswith(digits))
        ]
        if len(found) != 1:
            there = ", ".join(path.stem for path, _ in found or rejected) or "nothing"
            many = "several rejected certificates are" if found else "no rejected certificate is"
            raise LookupError(f"{many} called {wanted!r}; there is: {there}")
        path, certificate = found[0]
        to = self.root / "trusted" / "certs" / path.name
        to.parent.mkdir(parents=True, exist_ok=True)
        path.rename(to)
        return to, certificate

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.root / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _read(folder: Path, parse: Callable[[bytes], T]) -> Iterator[tuple[Path, T]]:
    for path in sorted(folder.glob("[!.]*")):
        try:
            with path.open("rb") as file:
                found = parse(file.read(FILE_MAX_BYTES))
        except (OSError, ValueError) as error:
            log.warning("passed over what is no certificate", extra={"path": str(path), "reason": str(error)})
            continue
        yield path, found


def _load_revocations(content: bytes) -> x509.CertificateRevocationList:
    if content.lstrip().startswith(b"-----"):
        return x509.load_pem_x509_crl(content)
    return x509.load_der_x509_crl(content)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write the file whole or not at all, never readable by more than `mode` allows."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def _file_name(certificate: x509.Certificate) -> str:
    """A name that a person recognises, made of nothing that a path could mean something by."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", name_of(certificate)).strip("_")[:40] or "unnamed"
    return f"{name}-{fingerprint(certificate)[:16]}.der"
