"""Trap A13: asyncua trusts every server unless it is told otherwise. Against real servers, one per certificate."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Server, ua
from asyncua.client.client import Client
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties
from asyncua.server.user_managers import UserManager
from asyncua.ua.uaerrors import UaError
from cryptography.hazmat.primitives.serialization import Encoding

from andon.clock import wall
from andon.events import SECOND_NS, Json
from andon.ports import Record, RecordKind
from ingest import opcua_connection
from ingest.errors import CertificateRefused
from ingest.notices import Notices
from ingest.opcua_connection import Door
from ingest.opcua_connection import Server as Settings
from ingest.pki import Pki
from tests.installed import Running
from tests.opcua_certificates import SERVER_URI, Made, application, authority

POLICIES = [ua.SecurityPolicyType.NoSecurity] + [
    ua.SecurityPolicyType[f"{name}_{mode}"]
    for name in ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss", "Basic256")
    for mode in ("Sign", "SignAndEncrypt")
]

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Doorkeeper(UserManager):
    """Knows one user by name and one by certificate."""

    def __init__(self) -> None:
        self.certificate: bytes | None = None
        self.heard: list[str] = []

    def get_user(
        self,
        iserver: Any,  # noqa: ARG002 - as asyncua calls it
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,
    ) -> User | None:
        if username == "andon" and password == "sesame":
            self.heard.append("name")
            return User(UserRole.User, username)
        if username is None and self.certificate is not None and certificate == self.certificate:
            self.heard.append("certificate")
            return User(UserRole.User, "by certificate")
        return None if username else User(UserRole.User)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    server = Server(user_manager=Doorkeeper())
    server.set_endpoint("opc.tcp://127.0.0.1:0/")
    server.set_security_policy(POLICIES)
    server.set_identity_tokens([ua.AnonymousIdentityToken, ua.UserNameIdentityToken, ua.X509IdentityToken])
    await server.init()
    await server.load_certificate(plc().der)
    await server.load_private_key(plc().pem_key, format="pem")
    async with server:
        yield server


@pytest.fixture(autouse=True)
def _as_it_was(server: Server) -> None:
    wear(server, plc())
    server.iserver.user_manager.heard.clear()


def wear(server: Server, made: Made, *, uri: str = SERVER_URI, shown: Made | None = None) -> None:
    """Let the running server be another, as after an exchange: `shown` is what it says, `made` what it has."""
    server.iserver.certificate, server.iserver.private_key = made.certificate, made.key
    for policy in server._policies:
        policy.certificate, policy.private_key = made.certificate, made.key
    for endpoint in server.iserver.endpoints:
        endpoint.ServerCertificate = (shown or made).der
        endpoint.Server.ApplicationUri = uri


def url_of(server: Server) -> str:
    assert server.bserver is not None
    return f"opc.tcp://127.0.0.1:{server.bserver.port}/"


class Visitor:
    """A door with its folders, and what it said."""

    def __init__(self, folder: Path, url: str, **settings: Json) -> None:
        self.records: list[Record] = []
        self.pki = Pki(folder / "pki")
        journal = folder / "line2"
        journal.mkdir(parents=True, exist_ok=True)
        self.settings = Settings.model_validate({"url": url, "timeout_s": 3} | settings)
        self.now_ns = wall()
        self.door = Door(
            self.settings, self.pki, lambda: self.now_ns, Notices(journal, wall, self.records.append)
        )

    async def read(self) -> str:
        async with self.door.connected() as client:
            await client.nodes.server_state.read_value()
            return str(client.security_policy.URI).rpartition("#")[2]

    def trusts(self, made: Made) -> None:
        folder = self.pki.root / "trusted" / "certs"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{made.certificate.serial_number}.der").write_bytes(made.der)

    async def refused(self) -> CertificateRefused:
        with pytest.raises(CertificateRefused) as refused:
            await self.read()
        return refused.value

    def said(self) -> list[tuple[str, bool, int]]:
        assert all(record.kind is RecordKind.NOTICE for record in self.records)
        bodies = [json.loads(record.body) for record in self.records]
        assert {body["subject"] for body in bodies} <= {"line2"}
        return [(body["code"], body["active"], body["severity"]) for body in bodies]


@cache
def plc() -> Made:
    return application()


@pytest.mark.parametrize("security", ["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"])
@pytest.mark.parametrize("mode", ["SignAndEncrypt", "Sign"])
async def test_a_trusted_server_is_spoken_to_with_the_wanted_policy(
    server: Server, tmp_path: Path, security: str, mode: str
) -> None:
    visitor = Visitor(tmp_path, url_of(server), security=security, mode=mode)
    visitor.trusts(plc())
    assert (await visitor.read()).replace("_", "") == security
    assert visitor.said() == []
    facts = visitor.door.look()
    assert facts["security"] == f"{security} {mode}"
    assert [each["whose"] for each in facts["certificates"]] == ["own", "server"]


async def test_a_server_without_the_wanted_policy_is_left_and_what_it_has_is_named(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [each for each in server.iserver.endpoints if "Sha256" not in each.SecurityPolicyUri]
    monkeypatch.setattr(server.iserver, "endpoints", old)
    visitor = Visitor(tmp_path, url_of(server))
    visitor.trusts(plc())
    with pytest.raises(
        UaError, match=r"does not offer Basic256Sha256 SignAndEncrypt; it has Basic256 Sign, .*None None"
    ):
        await visitor.read()


async def test_an_unknown_server_is_refused_until_a_person_trusts_it_and_then_needs_no_restart(
    server: Server,
    tmp_path: Path,
) -> None:
    assert await _naive(tmp_path / "naive", url_of(server)), "asyncua by itself lets any server in"
    visitor = Visitor(tmp_path, url_of(server))
    refused = await visitor.refused()
    assert refused.reason == "untrusted"
    ((path, kept),) = visitor.pki.rejected()
    assert kept == plc().certificate
    assert f"andon trust {path.stem}" in str(refused)
    await visitor.refused()
    assert visitor.said() == [("untrusted_certificate", True, 950)], "said once, however often it is tried"
    visitor.pki.accept("PLC 7")
    await visitor.read()
    assert visitor.said()[1:] == [("untrusted_certificate", False, 1)]
    assert visitor.pki.rejected() == []


async def test_nothing_is_sent_to_a_server_that_is_refused(server: Server, tmp_path: Path) -> None:
    visitor = Visitor(tmp_path, url_of(server), user="andon", password="sesame")
    await visitor.refused()
    assert server.iserver.user_manager.heard == []


@pytest.mark.parametrize(
    ("made", "uri", "reason"),
    [
        ({"begins_days": -20, "ends_days": -1}, SERVER_URI, "expired"),
        ({"begins_days": 1, "ends_days": 20}, SERVER_URI, "not_yet_valid"),
        ({"uri": "urn:test:impostor"}, SERVER_URI, "wrong_application"),
        ({"address": "192.0.2.9"}, SERVER_URI, "wrong_host"),
        ({"bits": 1024}, SERVER_URI, "weak_key"),
    ],
)
async def test_a_trusted_certificate_with_something_wrong_is_refused_for_that(
    server: Server, tmp_path: Path, made: dict[str, Any], uri: str, reason: str
) -> None:
    wrong = application(**made)
    wear(server, wrong, uri=uri)
    visitor = Visitor(tmp_path, url_of(server))
    visitor.trusts(wrong)
    refused = await visitor.refused()
    assert refused.reason == reason
    assert "andon trust" not in str(refused), "to trust it once more would not help"
    assert visitor.pki.rejected() == []
    assert visitor.said() == [("untrusted_certificate", True, 950)]


async def test_a_server_that_is_reached_by_another_name_is_let_in_by_the_name_in_its_certificate(
    server: Server,
    tmp_path: Path,
) -> None:
    elsewhere = application(address="192.0.2.9")
    wear(server, elsewhere)
    visitor = Visitor(tmp_path, url_of(server), server_name="192.0.2.9")
    visitor.trusts(elsewhere)
    await visitor.read()


async def test_a_server_whose_certificate_changed_is_refused_until_the_new_one_is_trusted(
    server: Server,
    tmp_path: Path,
) -> None:
    visitor = Visitor(tmp_path, url_of(server))
    visitor.trusts(plc())
    await visitor.read()
    wear(server, application())
    refused = await visitor.refused()
    assert refused.reason == "changed"
    ((path, _),) = visitor.pki.rejected()
    visitor.pki.accept(path.stem)
    await visitor.read()


async def test_a_server_that_shows_one_certificate_and_uses_another_is_left(
    server: Server, tmp_path: Path
) -> None:
    """The endpoint is asked for without security, so what it says is only believed once it is proved."""
    visitor = Visitor(tmp_path, url_of(server), timeout_s=0.5)
    visitor.trusts(plc())
    wear(server, application(), shown=plc())
    with pytest.raises((UaError, OSError, TimeoutError)):
        await visitor.read()


async def test_a_chain_from_a_trusted_root_is_let_in(server: Server, tmp_path: Path) -> None:
    root = authority("plant root")
    signed = application(signer=root)
    wear(server, signed)
    visitor = Visitor(tmp_path, url_of(server))
    assert (await visitor.refused()).reason == "untrusted"
    visitor.trusts(root)
    await visitor.read()


async def test_a_user_signs_in_by_name_or_by_certificate(server: Server, tmp_path: Path) -> None:
    person = application("the collector's user", uri="urn:test:person")
    (tmp_path / "user.der").write_bytes(person.der)
    (tmp_path / "user.pem").write_bytes(person.pem_key)
    (tmp_path / "password").write_text("sesame\n")
    keeper = server.iserver.user_manager
    keeper.certificate = person.der
    ways: list[dict[str, Json]] = [
        {"user": "andon", "password_file": str(tmp_path / "password")},
        {"user_certificate": str(tmp_path / "user.der"), "user_private_key": str(tmp_path / "user.pem")},
    ]
    for number, way in enumerate(ways):
        visitor = Visitor(tmp_path / str(number), url_of(server), **way)
        visitor.trusts(plc())
        await visitor.read()
    assert keeper.heard == ["name", "certificate"]
    wrong = Visitor(tmp_path / "wrong", url_of(server), user="andon", password="guess")
    wrong.trusts(plc())
    with pytest.raises(UaError):
        await wrong.read()


async def test_the_end_of_a_certificate_is_said_ahead_and_more_urgently_each_time(
    server: Server, tmp_path: Path
) -> None:
    visitor = Visitor(tmp_path, url_of(server))
    visitor.trusts(plc())
    await visitor.read()
    began_ns = visitor.now_ns
    for days in (31, 29, 20, 13, 6, 0):
        visitor.now_ns = began_ns + (399 - days) * 86_400 * SECOND_NS
        facts = visitor.door.look()
        assert facts["certificates"][1]["days_left"] == days
    assert visitor.said() == [("certificate_expiring", True, severity) for severity in (300, 500, 700, 950)]
    wear(server, renewed := application(ends_days=900))
    visitor.trusts(renewed)
    await visitor.read()
    visitor.door.look()
    assert visitor.said()[4:] == [("certificate_expiring", False, 1)]


async def test_a_connection_without_security_over_the_network_keeps_saying_so(tmp_path: Path) -> None:
    far = Visitor(tmp_path, "opc.tcp://192.0.2.7:4840", security="none", allow_insecure_over_the_network=True)
    assert far.door.look()["exposed"]
    far.door.look()
    assert far.said() == [("insecure_source", True, 500)]
    again = Visitor(
        tmp_path, "opc.tcp://192.0.2.7:4840", security="none", allow_insecure_over_the_network=True
    )
    again.door.look()
    assert again.said() == [("insecure_source", True, 500)], "each run says it anew"
    mended = Visitor(tmp_path, "opc.tcp://192.0.2.7:4840")
    mended.door.look()
    mended.door.look()
    assert mended.said() == [("insecure_source", False, 1)], "and a run that is secure takes it back"


async def test_a_whole_line_waits_with_a_critical_ticket_until_andon_trust_and_then_goes_on(
    server: Server, tmp_path: Path
) -> None:
    text = f"""[sources.plc]
kind = "opcua"
url = "{url_of(server)}"
back_off_s = 1
"""
    running = await asyncio.to_thread(Running, tmp_path, text)

    def story() -> None:
        with running:
            (ticket,) = running.until(
                lambda: running.tickets("untrusted_certificate"), 20, "a ticket was opened"
            )
            assert (ticket["priority"], ticket["alarm_active"]) == ("critical", True)
            pid = running.part("plc")["pid"]
            assert not running.part("plc")["status"]["connected"]
            said = running.say("trust")
            assert "trusted: none" in said
            (name,) = re.findall(r"(PLC_7-[0-9a-f]{16})", said)
            assert "trusted from now on: PLC 7" in running.say("trust", name)
            running.until(lambda: running.part("plc")["status"]["connected"], 20, "it connected by itself")
            running.until(
                lambda: not running.tickets("untrusted_certificate")[0]["alarm_active"],
                15,
                "the alarm was cleared",
            )
            assert running.part("plc")["pid"] == pid
            (own,) = re.findall(r"[0-9a-f]{64}", running.say("certificate"))
            certificates = running.part("plc")["status"]["certificates"]
            assert certificates[0]["fingerprint"] == own

    await asyncio.to_thread(story)


async def test_a_server_that_does_not_answer_is_left_in_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        visitor = Visitor(tmp_path, f"opc.tcp://127.0.0.1:{port}", timeout_s=0.2)
        with pytest.raises((TimeoutError, UaError, OSError)):
            async with asyncio.timeout(5):
                await visitor.read()


async def _naive(folder: Path, url: str) -> bool:
    """What asyncua does by itself: whatever certificate the endpoint shows is taken."""
    own = Pki(folder).own(wall())
    client = Client(url, timeout=3)
    client.application_uri = "urn:naive"
    await client.set_security(
        SecurityPolicyBasic256Sha256,
        certificate=CertProperties(own.certificate.public_bytes(Encoding.DER), "der"),
        private_key=CertProperties(own.key, "pem"),
    )
    async with client:
        return bool(await client.nodes.server_state.read_value() is not None)


@pytest.fixture(autouse=True)
def _close_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua_connection, "CLOSE_S", 0.5)
