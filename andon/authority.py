"""A certificate authority of one's own: for a plant whose machines have no public names, so that nothing goes in the clear.

The authority (`tls/ca.pem`, `ca.key`) holds ten years, and browsers and devices trust ca.pem. What the console and the
listener show (`server.pem`, `server.key`) holds 397 days and is made anew by `andon init --tls`.
"""

import datetime as dt
import ipaddress
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS, SERVER_DAYS = 3652, 397
"""397 days is the longest that browsers take of a server (CA/Browser Forum, ballot SC31)."""
BACK_DAYS = 1
"""Valid a day back, for devices whose clock is behind."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where the authority's and the server's certificates and keys are."""

    folder: Path

    @property
    def ca(self) -> Path:
        """The authority's certificate: what others trust."""
        return self.folder / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """Its key, which can go to a safe place until the next renewal."""
        return self.folder / "ca.key"

    @property
    def certificate(self) -> Path:
        """The server's certificate."""
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        """The server's key."""
        return self.folder / "server.key"


def own_names() -> list[str]:
    """The names and addresses by which this machine is known, as far as it knows itself."""
    names = {"localhost", "127.0.0.1", "::1", socket.gethostname(), socket.getfqdn()}
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((far, 9))  # asks the routing table alone; nothing is sent
                names.add(str(probe.getsockname()[0]))
        except OSError:
            continue
    return sorted(name for name in names if name)


def issue(files: Files, plant: str, names: Iterable[str], now_ns: int) -> bool:
    """Make the server's certificate for these names, and the authority first if there is none; whether that was so.

    ValueError for a name that cannot stand in a certificate, OSError if a file cannot be written.
    """
    files.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = dt.datetime.fromtimestamp(now_ns // 1_000_000_000, dt.UTC)
    is_new = not files.ca.exists()
    if is_new:
        _make_authority(files, plant, now)
    authority = x509.load_pem_x509_certificate(files.ca.read_bytes())
    key = serialization.load_pem_private_key(files.ca_key.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != authority.public_key():
        raise ValueError(f"{files.ca_key} is not the key of {files.ca}")
    known = list(dict.fromkeys(names))
    own = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, known[0][:64])])
    made = _builder(subject, authority.subject, own, now, SERVER_DAYS)
    made = made.add_extension(x509.SubjectAlternativeName([_general(name) for name in known]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    made = made.add_extension(_usage(is_ca=False), critical=True)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    signed = made.add_extension(issuer, critical=False).sign(key, hashes.SHA256())
    _put(files.key, _pem(own), 0o600)
    _put(files.certificate, signed.public_bytes(serialization.Encoding.PEM), 0o644)
    return is_new


def _make_authority(files: Files, plant: str, now: dt.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Andon authority of {plant}"[:64])])
    made = _builder(name, name, key, now, CA_DAYS)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    made = made.add_extension(_usage(is_ca=True), critical=True)
    _put(files.ca_key, _pem(key), 0o600)
    _put(files.ca, made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), 0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: dt.datetime, days: int
) -> x509.CertificateBuilder:
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - dt.timedelta(BACK_DAYS)).not_valid_after(
        now + dt.timedelta(days - BACK_DAYS)
    )
    return made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not name.isascii() or set(name) & set(" /:@\\") or not name:
        raise ValueError(f"{name!r} is no name or address of a machine")
    return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _put(path: Path, content: bytes, mode: int) -> None:
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
        file.write(content)
    partial.rename(path)


def names_in(certificate: x509.Certificate) -> Sequence[str]:
    """The names and addresses that a server's certificate holds for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]
