"""X.509 as OPC UA uses it: an application's own certificate, and why another's is not accepted.

A server is accepted when its certificate, or one that signed it, is trusted, and when everything else about it is
right too: its time, its signature, its key, the application and the host that it names, no revocation.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from andon.events import SECOND_NS
from ingest.errors import CertificateRefused

KEY_BITS = 2048
"""The least that all three policies take, and the most that small controllers do (OPC 10000-7)."""
VALID_DAYS = 5 * 365
CHAIN_MAX = 5
WARN_DAYS = (30, 14, 7, 1)
"""How many days before its end a certificate is spoken of."""
T = TypeVar("T", bound=x509.ExtensionType)
_SOUND_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to trust: `trusted` by itself, `issuers` only to complete a chain, `revocations` against both."""

    trusted: Sequence[x509.Certificate] = ()
    issuers: Sequence[x509.Certificate] = ()
    revocations: Sequence[x509.CertificateRevocationList] = ()


def make_own(host: str, now_ns: int) -> tuple[x509.Certificate, bytes]:
    """A self-signed application certificate that names this host, and its private key as unencrypted PEM.

    Source: OPC 10000-6, 6.2.2 (fields of an application instance certificate).
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "Andon"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, host),
        ]
    )
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    own_key = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    now = datetime.fromtimestamp(now_ns // SECOND_NS, UTC)
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # a controller's clock may be a little behind
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier(f"urn:{host}:andon"), x509.DNSName(host)]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(own_key, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_key), critical=False
        )
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return builder.sign(key, hashes.SHA256()), pem


def load(content: bytes) -> x509.Certificate:
    """A certificate from PEM or DER, the first where there are several; ValueError if it is none."""
    if content.lstrip().startswith(b"-----"):
        return x509.load_pem_x509_certificate(content)
    return split_chain(content)[0]


def split_chain(content: bytes) -> list[x509.Certificate]:
    """The certificates of a DER chain, the application's own first, at most `CHAIN_MAX`; ValueError if it is none."""
    found: list[x509.Certificate] = []
    while content and len(found) < CHAIN_MAX:
        size = _der_size(content)
        found.append(x509.load_der_x509_certificate(content[:size]))
        content = content[size:]
    if not found:
        raise ValueError("no certificate")
    return found


def fingerprint(certificate: x509.Certificate) -> str:
    """The SHA-256 of the whole certificate, as people compare it: 64 hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def name_of(certificate: x509.Certificate) -> str:
    """Its common name, or all of its subject where it has none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def application_uris(certificate: x509.Certificate) -> list[str]:
    """The application URIs among its alternative names; a sound application certificate has one."""
    names = _alternative_names(certificate)
    return names.get_values_for_type(x509.UniformResourceIdentifier) if names else []


def ends_ns(certificate: x509.Certificate) -> int:
    """When it ends, in nanoseconds UTC."""
    return int(certificate.not_valid_after_utc.timestamp()) * SECOND_NS


def days_left(certificate: x509.Certificate, now_ns: int) -> int:
    """Whole days until it ends; negative once it has ended."""
    return (ends_ns(certificate) - now_ns) // (86_400 * SECOND_NS)


def warned_at(days: int) -> int | None:
    """The step of `WARN_DAYS` that so many days have reached, None while the end is far.

    >>> warned_at(31), warned_at(30), warned_at(8), warned_at(-2)
    (None, 30, 14, 1)
    """
    return min((step for step in WARN_DAYS if days <= step), default=None)


def verify(
    chain: Sequence[x509.Certificate], trust: Trust, *, application_uri: str, host: str, now_ns: int
) -> None:
    """CertificateRefused with the reason, unless the first of `chain` is a server that may be spoken to.

    `application_uri` is what the server says it is, `host` what it was reached by. Whether it is trusted is looked
    at first: of a stranger, nothing else matters. Source: OPC 10000-4, 6.1.3 (the order of its steps).
    """
    leaf, now = chain[0], datetime.fromtimestamp(now_ns // SECOND_NS, UTC)
    path = _path(leaf, [*chain[1:], *trust.issuers, *trust.trusted])
    trusted = {fingerprint(known) for known in trust.trusted}
    if not any(fingerprint(each) in trusted for each in path):
        raise CertificateRefused(*_stranger(leaf, trust))
    for each in path:
        _look_at_time(each, now)
        _look_at_strength(each)
    _look_for_revocation(path, trust.revocations)
    _look_at_use(leaf)
    if application_uri not in application_uris(leaf):
        said = ", ".join(application_uris(leaf)) or "none"
        raise CertificateRefused(
            "wrong_application",
            f"it names the application {said}, and the server says that it is {application_uri}",
        )
    if not _names_host(leaf, host):
        raise CertificateRefused(
            "wrong_host",
            f"it does not name {host}; set server_name to a name that stands in it ({_hosts(leaf)}), if that is right",
        )


def _stranger(leaf: x509.Certificate, trust: Trust) -> tuple[str, str]:
    same = [known for known in trust.trusted if set(application_uris(known)) & set(application_uris(leaf))]
    if same:
        return "changed", f"it has changed; trusted for this application is {fingerprint(same[0])[:16]}"
    return "untrusted", "nobody has trusted it yet"


def _path(leaf: x509.Certificate, known: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The certificate and those that signed it, as far as they are known and may sign."""
    path = [leaf]
    while len(path) < CHAIN_MAX and path[-1].issuer != path[-1].subject:
        above = next(
            (each for each in known if _signed(each, path[-1], len(path) - 1) and each not in path), None
        )
        if above is None:
            break
        path.append(above)
    return path


def _signed(issuer: x509.Certificate, certificate: x509.Certificate, between: int) -> bool:
    """Whether `issuer` may sign and has, with so many issuers between it and the application."""
    constraints = _extension(issuer, x509.BasicConstraints)
    usage = _extension(issuer, x509.KeyUsage)
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        return False
    if constraints.path_length is not None and constraints.path_length < between:
        return False
    if application_uris(issuer):
        return (
            False  # an application, often made with CA set: to trust a server is not to trust whom it signs
        )
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _look_at_time(certificate: x509.Certificate, now: datetime) -> None:
    if now > certificate.not_valid_after_utc:
        raise CertificateRefused(
            "expired", f"{name_of(certificate)} ended on {certificate.not_valid_after_utc:%Y-%m-%d}"
        )
    if now < certificate.not_valid_before_utc:
        raise CertificateRefused(
            "not_yet_valid",
            f"{name_of(certificate)} begins on {certificate.not_valid_before_utc:%Y-%m-%d}; look at both clocks",
        )


def _look_at_strength(certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < KEY_BITS:
        raise CertificateRefused("weak_key", f"{name_of(certificate)} has no RSA key of {KEY_BITS} bits")
    if not isinstance(certificate.signature_hash_algorithm, _SOUND_HASHES):
        raise CertificateRefused("weak_key", f"{name_of(certificate)} is not signed with SHA-256 or better")


def _look_for_revocation(
    path: Sequence[x509.Certificate], revocations: Sequence[x509.CertificateRevocationList]
) -> None:
    for certificate, issuer in pairwise(path):
        for revocation in revocations:
            if revocation.issuer != issuer.subject or not _signed_list(revocation, issuer):
                continue
            if revocation.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
                raise CertificateRefused("revoked", f"{name_of(issuer)} has revoked {name_of(certificate)}")


def _signed_list(revocation: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    return isinstance(key, rsa.RSAPublicKey) and revocation.is_signature_valid(key)


def _look_at_use(certificate: x509.Certificate) -> None:
    uses = _extension(certificate, x509.ExtendedKeyUsage)
    if uses is not None and ExtendedKeyUsageOID.SERVER_AUTH not in uses:
        raise CertificateRefused("wrong_use", "it is not meant for a server")


def _names_host(certificate: x509.Certificate, host: str) -> bool:
    names = _alternative_names(certificate)
    if names is None:
        return False
    try:
        return ipaddress.ip_address(host) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        return host.lower() in [name.lower() for name in names.get_values_for_type(x509.DNSName)]


def _hosts(certificate: x509.Certificate) -> str:
    names = _alternative_names(certificate)
    if names is None:
        return "none"
    places = [str(place) for place in names.get_values_for_type(x509.IPAddress)]
    return ", ".join([*names.get_values_for_type(x509.DNSName), *places]) or "none"


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    return _extension(certificate, x509.SubjectAlternativeName)


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _der_size(content: bytes) -> int:
    """How long the first DER value is, its head included; ValueError if that is no sequence."""
    if len(content) < 4 or content[0] != 0x30:
        raise ValueError("not a DER certificate")
    if content[1] < 0x80:
        return 2 + content[1]
    digits = content[1] & 0x7F
    return 2 + digits + int.from_bytes(content[2 : 2 + digits], "big")
