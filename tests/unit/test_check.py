"""`andon check` says what is wrong, and how to mend it: each fault planted here is found."""

import datetime as dt
import socket
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from andon.commands.check import verdicts
from andon.commands.verdict import Verdict
from andon.events import SECOND_NS
from andon.quarantine import Quarantine
from ingest.certificates import ends_ns, fingerprint
from ingest.pki import Pki
from tests.opcua_certificates import application

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def now() -> int:
    return int(NOW.timestamp()) * 10**9


def looked(folder: Path, text: str, now_ns: int | None = None) -> list[Verdict]:
    path = folder / "andon.toml"
    path.write_text(text, "utf-8")
    return list(verdicts(path, folder / "data", now if now_ns is None else lambda: now_ns))


def certificate(folder: Path, days: int) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "listener")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = (
        made.serial_number(1)
        .not_valid_before(NOW - dt.timedelta(400))
        .not_valid_after(NOW + dt.timedelta(days))
    )
    path = folder / "cert.pem"
    path.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


def test_an_empty_configuration_is_good(tmp_path: Path) -> None:
    assert [v for v in looked(tmp_path, "[web]\nport = 0") if v.state == "wrong" and v.name != "pages"] == []


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("dta = 1", "configuration", "did you mean 'data'"),
        ("[sources.floor]\nkind = 'lisener'", "source floor", "there is no kind 'lisener'"),
        ("[sources.floor]\nkind = 'decode'", "source floor", "there is no kind 'decode'"),
        ("[sources.floor]\nkind = 'listener'\nprot = 1", "source floor", "did you mean 'port'"),
        (
            "[sources.floor]\nkind = 'opcua'\nurl = 'opc.tcp://192.0.2.9:4840'\nsecurity = 'none'",
            "source floor",
            "security is none",
        ),
        ("[web]\nhost = '0.0.0.0'\nport = 0", "configuration", "no loopback address"),
        (
            "[sources.a]\nkind = 'opcua'\nurl = 'opc.tcp://u:geheim@192.0.2.9:4840'",
            "source a",
            "no user or password",
        ),
        (
            "[sources.a]\nkind = 'listener'\nanonymous = true\n[sources.b]\nkind = 'listener'\nanonymous = true",
            "sources",
            "a and b cannot both have port 1883",
        ),
        (
            "".join(f"[sources.{name}]\nkind = 'mqtt'\nhost = 'h'\nclient_id = 'x'\n" for name in "ab"),
            "sources",
            "a and b cannot both have the client_id 'x' at h:1883",
        ),
    ],
)
def test_a_planted_fault_is_found_and_its_cure_named(tmp_path: Path, text: str, name: str, said: str) -> None:
    wrong = [v for v in looked(tmp_path, text) if v.state == "wrong" and v.name == name]
    assert [said in v.text for v in wrong] == [True]
    assert all(v.cure for v in wrong)


def test_a_port_in_use_is_found(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        found = looked(tmp_path, f"[web]\nport = {taken.getsockname()[1]}")
    assert [v.state for v in found if v.name == "web"] == ["wrong"]


@pytest.mark.parametrize(("days", "state"), [(400, []), (20, ["warning"]), (-1, ["wrong"])])
def test_a_certificate_that_ends_is_announced(tmp_path: Path, days: int, state: list[str]) -> None:
    text = f"[sources.floor]\nkind = 'listener'\n[sources.floor.tls]\ncertificate = '{certificate(tmp_path, days)}'"
    found = [v.state for v in looked(tmp_path, text) if v.name == "source floor" and "ends in" in v.text]
    assert found == state


def test_a_clock_in_the_past_is_found(tmp_path: Path) -> None:
    assert [v.state for v in looked(tmp_path, "", now_ns=0) if v.name == "clock"] == ["wrong"]


def pki_verdicts(folder: Path, now_ns: int | None = None) -> list[tuple[str, str]]:
    found = looked(folder, "[web]\nport = 0", now_ns)
    return [(v.state, v.text) for v in found if v.name == "certificates"]


def test_our_own_certificate_is_shown_with_its_fingerprint_and_its_end_and_its_key_is_ours(
    tmp_path: Path,
) -> None:
    assert pki_verdicts(tmp_path) == []
    own = Pki(tmp_path / "data" / "pki").own(now())
    ((state, text),) = pki_verdicts(tmp_path)
    assert state == "good"
    assert fingerprint(own.certificate) in text
    soon_ns = ends_ns(own.certificate) - 5 * 86_400 * SECOND_NS
    assert [state for state, _ in pki_verdicts(tmp_path, soon_ns)] == ["good", "warning"]
    own.key_path.chmod(0o644)
    assert [state for state, _ in pki_verdicts(tmp_path)] == ["good", "wrong"]


def test_a_certificate_that_waits_for_a_person_and_a_trusted_one_that_ends_are_named(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "data" / "pki")
    made = application("PLC 7")
    path = pki.reject(made.certificate)
    ((state, text),) = pki_verdicts(tmp_path)
    assert (state, path.stem in text) == ("warning", True)
    pki.accept(path.stem)
    assert pki_verdicts(tmp_path, ends_ns(made.certificate) - 40 * 86_400 * SECOND_NS) == []
    ((state, text),) = pki_verdicts(tmp_path, ends_ns(made.certificate) + 86_400 * SECOND_NS)
    assert (state, "PLC_7" in text) == ("wrong", True)


def test_a_source_in_quarantine_is_named_with_the_way_out(tmp_path: Path) -> None:
    Quarantine(tmp_path / "data").put("plc", "died 3 times")
    (found,) = [v for v in looked(tmp_path, "") if v.name == "source plc"]
    assert (found.state, "died 3 times" in found.text, "andon resume plc" in found.cure) == (
        "wrong",
        True,
        True,
    )


def test_a_connection_without_security_over_the_network_is_a_warning(tmp_path: Path) -> None:
    text = """[sources.plc]
kind = "opcua"
url = "opc.tcp://192.0.2.9:4840"
security = "none"
allow_insecure_over_the_network = true
"""
    found = [v.state for v in looked(tmp_path, text) if v.name == "source plc"]
    assert found == ["good", "warning"]


def test_caps_of_memory_that_the_machine_cannot_keep_are_a_warning(tmp_path: Path) -> None:
    text = "[sources.floor]\nkind = 'listener'\nmemory_max_mb = 10000000\n"
    assert [v.state for v in looked(tmp_path, text) if v.name == "memory"] == ["warning"]
    assert [v.state for v in looked(tmp_path, "") if v.name == "memory"] == ["good"]
