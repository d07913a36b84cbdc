"""Which servers are let in: each thing that can be wrong with a certificate is named, and nothing else passes for trust."""

import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from andon.clock import wall
from andon.events import SECOND_NS
from ingest.certificates import Trust, application_uris, days_left, fingerprint, load, split_chain, verify
from ingest.errors import CertificateRefused
from ingest.pki import REJECTED_MAX, Pki
from tests.opcua_certificates import SERVER_URI, Made, application, authority, revocations

DAY_NS = 86_400 * SECOND_NS


@cache
def plc() -> Made:
    return application()


@cache
def root() -> Made:
    return authority("plant root")


def refusal(
    chain: Sequence[Made],
    *,
    trusted: Sequence[Made] = (),
    issuers: Sequence[Made] = (),
    crl: Sequence[bytes] = (),
    host: str = "127.0.0.1",
    now_ns: int | None = None,
) -> str:
    """Why the first of the chain is refused; empty if it is let in."""
    trust = Trust(
        [made.certificate for made in trusted],
        [made.certificate for made in issuers],
        [x509.load_der_x509_crl(each) for each in crl],
    )
    try:
        verify(
            [made.certificate for made in chain],
            trust,
            application_uri=SERVER_URI,
            host=host,
            now_ns=now_ns or wall(),
        )
    except CertificateRefused as refused:
        return refused.reason
    return ""


def test_only_what_a_person_trusted_is_let_in() -> None:
    assert refusal([plc()]) == "untrusted"
    assert refusal([plc()], trusted=[application(uri="urn:another")]) == "untrusted"
    assert refusal([plc()], trusted=[plc()]) == ""


def test_another_certificate_of_a_trusted_application_has_changed() -> None:
    assert refusal([application()], trusted=[plc()]) == "changed"


@pytest.mark.parametrize(("days", "reason"), [(-11, "not_yet_valid"), (-9, ""), (399, ""), (401, "expired")])
def test_a_certificate_is_good_from_its_first_to_its_last_day(days: int, reason: str) -> None:
    assert refusal([plc()], trusted=[plc()], now_ns=wall() + days * DAY_NS) == reason


def test_the_application_that_it_names_must_be_the_one_that_answers() -> None:
    other = application(uri="urn:test:another")
    assert refusal([other], trusted=[other]) == "wrong_application"


def test_the_host_that_it_names_must_be_the_one_that_is_reached() -> None:
    elsewhere = application(address="192.0.2.9")
    assert refusal([elsewhere], trusted=[elsewhere]) == "wrong_host"
    assert refusal([elsewhere], trusted=[elsewhere], host="192.0.2.9") == ""
    assert refusal([plc()], trusted=[plc()], host="localhost") == "wrong_host"


def test_a_short_key_is_refused() -> None:
    short = application(bits=1024)
    assert refusal([short], trusted=[short]) == "weak_key"


def test_a_certificate_for_clients_is_no_server() -> None:
    client = application(use=ExtendedKeyUsageOID.CLIENT_AUTH)
    assert refusal([client], trusted=[client]) == "wrong_use"


def test_a_trusted_authority_lets_in_what_it_signed() -> None:
    signed = application(signer=root())
    assert refusal([signed], trusted=[root()]) == ""
    assert refusal([signed], issuers=[root()]) == "untrusted", "an issuer completes a chain, no more"
    assert refusal([signed], trusted=[authority("plant root")]) == "untrusted", "the name alone is nothing"


def test_an_issuer_completes_the_chain_to_a_trusted_root() -> None:
    middle = authority("line 2", signer=root())
    signed = application(signer=middle)
    assert refusal([signed], trusted=[root()]) == "untrusted"
    assert refusal([signed], trusted=[root()], issuers=[middle]) == ""
    assert refusal([signed, middle], trusted=[root()]) == "", "the server may send it along"
    assert refusal([signed], trusted=[root()], issuers=[authority("line 2", signer=root())]) == "untrusted"


def test_a_chain_longer_than_its_root_allows_is_none() -> None:
    narrow = authority("narrow root", path_length=0)
    middle = authority("line 2", signer=narrow)
    assert refusal([application(signer=narrow)], trusted=[narrow]) == ""
    assert refusal([application(signer=middle), middle], trusted=[narrow]) == "untrusted"


def test_an_authority_that_has_ended_lets_nobody_in() -> None:
    ended = authority("old root", ends_days=1)
    signed = application(signer=ended)
    assert refusal([signed], trusted=[ended], now_ns=wall() + 2 * DAY_NS) == "expired"


def test_a_trusted_server_cannot_vouch_for_another() -> None:
    """Tools make applications' certificates with the mark of an authority; to trust one is not to trust its word."""
    claiming = application("PLC 8", uri="urn:test:eight", authority=True)
    assert refusal([application(signer=claiming)], trusted=[claiming]) == "untrusted"


def test_what_its_authority_revoked_is_refused() -> None:
    good, bad = application(signer=root()), application(signer=root())
    crl = [revocations(root(), bad)]
    assert refusal([bad], trusted=[root()], crl=crl) == "revoked"
    assert refusal([bad], trusted=[root(), bad], crl=crl) == "revoked", "trusted by itself as well"
    assert refusal([good], trusted=[root()], crl=crl) == ""
    forged = [revocations(authority("plant root"), good)]
    assert refusal([good], trusted=[root()], crl=forged) == "", "not the authority's own list"


def test_our_own_certificate_names_its_application_and_host_and_its_key_is_ours_alone(tmp_path: Path) -> None:
    own = Pki(tmp_path / "pki").own(wall())
    (uri,) = application_uris(own.certificate)
    assert uri.startswith("urn:")
    assert uri.endswith(":andon")
    key = own.certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size >= 2048
    assert days_left(own.certificate, wall()) > 365
    assert b"PRIVATE KEY" in own.key
    (key_file,) = (tmp_path / "pki" / "own" / "private").iterdir()
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert key_file.parent.stat().st_mode & 0o077 == 0


def test_our_own_certificate_is_made_once_however_many_sources_start_together(tmp_path: Path) -> None:
    made: list[str] = []

    def ask() -> None:
        made.append(fingerprint(Pki(tmp_path / "pki").own(wall()).certificate))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1
    assert fingerprint(Pki(tmp_path / "pki").own(wall(), renew=True).certificate) not in made


def test_a_person_trusts_by_name_or_fingerprint_and_only_what_is_meant(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    one, two = application("PLC 7"), application("PLC 7", uri="urn:test:other")
    for made in (one, two):
        assert pki.reject(made.certificate).parent.name == "rejected"
    with pytest.raises(LookupError, match="several"):
        pki.accept("PLC 7")
    with pytest.raises(LookupError, match="no rejected certificate"):
        pki.accept("PLC 9")
    with pytest.raises(LookupError, match="no rejected certificate"):
        pki.accept(fingerprint(one.certificate)[:6])
    spoken = ":".join(fingerprint(one.certificate)[i : i + 2] for i in range(0, 64, 2)).upper()
    path, accepted = pki.accept(spoken)
    assert accepted == one.certificate
    assert path.parent == tmp_path / "pki" / "trusted" / "certs"
    assert [found for _, found in pki.trusted()] == [one.certificate]
    assert [found for _, found in pki.rejected()] == [two.certificate]


def test_a_server_with_ever_new_certificates_does_not_fill_the_disk(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    folder = tmp_path / "pki" / "rejected"
    folder.mkdir(parents=True)
    for number in range(REJECTED_MAX + 5):
        (folder / f"old-{number}.der").write_bytes(plc().der)
    pki.reject(application("../../etc/x\0y").certificate)
    names = [path.name for path in folder.iterdir()]
    assert len(names) == REJECTED_MAX
    assert any(name.startswith("etc_x_y-") for name in names)


def test_a_file_that_is_no_certificate_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "pki" / "trusted" / "certs"
    folder.mkdir(parents=True)
    (folder / "readme.txt").write_text("hello")
    (folder / "plc.der").write_bytes(plc().der)
    assert [found for _, found in Pki(tmp_path / "pki").trusted()] == [plc().certificate]
    assert "no certificate" in caplog.text


@pytest.mark.parametrize(
    "content", [b"", b"x", b"0\x80", b"0\x82\xff\xff" + bytes(9), b"0\x84\xff\xff\xff\xff"]
)
def test_bytes_that_are_no_certificate_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        load(content)


def test_a_chain_that_never_ends_is_cut() -> None:
    assert len(split_chain(plc().der * 50)) == 5
