"""Application certificates for OPC UA tests, as an authority or a server itself would make them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from andon.clock import wall
from andon.events import SECOND_NS

SERVER_URI = "urn:test:server"


@dataclass(frozen=True, slots=True)
class Made:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem_key(self) -> bytes:
        return self.key.private_bytes(
            Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def today() -> datetime:
    return datetime.fromtimestamp(wall() // SECOND_NS, UTC)


def application(
    name: str = "PLC 7",
    *,
    uri: str = SERVER_URI,
    address: str = "127.0.0.1",
    begins_days: int = -10,
    ends_days: int = 400,
    signer: Made | None = None,
    bits: int = 2048,
    authority: bool = False,
    use: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
) -> Made:
    """A server's certificate; `authority` makes it one that claims that it may sign, as asyncua's own do."""
    names = [x509.UniformResourceIdentifier(uri), x509.IPAddress(IPv4Address(address))]
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    builder = _builder(name, key, signer, begins_days, ends_days).add_extension(
        x509.SubjectAlternativeName(names), critical=False
    )
    builder = builder.add_extension(
        x509.BasicConstraints(ca=authority, path_length=None), critical=True
    ).add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    return Made(builder.sign(signer.key if signer else key, hashes.SHA256()), key)


def authority(
    name: str, *, signer: Made | None = None, path_length: int | None = None, ends_days: int = 400
) -> Made:
    """A certificate authority, a root where nobody signs it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    builder = _builder(name, key, signer, -10, ends_days).add_extension(
        x509.BasicConstraints(ca=True, path_length=path_length), critical=True
    )
    return Made(builder.sign(signer.key if signer else key, hashes.SHA256()), key)


def revocations(issuer: Made, *revoked: Made) -> bytes:
    """The issuer's list of what it has revoked, as DER."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(today() - timedelta(days=1))
        .next_update(today() + timedelta(days=30))
    )
    for made in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(made.certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(today()).build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _builder(
    name: str, key: rsa.RSAPrivateKey, signer: Made | None, begins_days: int, ends_days: int
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = signer.certificate.subject if signer else subject
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(today() + timedelta(days=begins_days))
        .not_valid_after(today() + timedelta(days=ends_days))
    )
