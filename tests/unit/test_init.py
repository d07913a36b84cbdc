"""`andon init` makes what a first start needs, and nothing that is there is written over."""

import datetime as dt
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from andon.__main__ import main
from andon.authority import Files, issue, names_in
from andon.clock import wall
from andon.commands.check import verdicts
from andon.config import Config, check
from andon.database import reading
from andon.datadir import open_store
from andon.plant import Plant
from andon.sources import check_sources

NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
WORDS = ("--name", "Acme East", "--place", "acme/east/press/L1", "--admin", "Chen Jing", "--port", "18099")


def init(*words: str) -> int:
    return main(["init", "--yes", *words])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in; what the command does to the process is undone."""
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o022)
    yield tmp_path
    os.umask(before)


def test_an_installation_is_made_and_only_a_hash_of_its_secret_stays(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(*WORDS, "--json", "made.json") == 0
    secret = json.loads(Path("made.json").read_text())["secret"]
    assert capsys.readouterr().out.count(secret) == 1
    Path("made.json").unlink()
    assert [
        path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
    ] == []
    plant = Plant.model_validate_json(Path("plant.json").read_text())
    assert (plant.name, plant.place) == ("Acme East", "acme/east/press/L1")
    assert [(one.id, one.name) for one in plant.people] == [("chen.jing", "Chen Jing")]
    assert stat.S_IMODE(Path("var/andon").stat().st_mode) == 0o700
    with reading(open_store(Path("var/andon"))) as conn:
        (row,) = conn.exec_driver_sql("SELECT id, must_change, secret_hash FROM account").all()
    assert (row[0], bool(row[1]), row[2][:9]) == ("chen.jing", True, "$argon2id")


def test_check_finds_nothing_wrong_in_what_init_made(folder: Path) -> None:
    assert init(*WORDS) == 0
    found = [one for one in verdicts(Path("andon.toml"), None, wall) if one.state == "wrong"]
    assert [one for one in found if one.name not in {"pages", "web"}] == []
    assert folder.exists()


def test_nothing_that_is_there_is_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("andon.toml").write_text("# mine")
    assert init(*WORDS) == 1
    assert "is there already" in capsys.readouterr().err
    assert (Path("andon.toml").read_text(), Path("var").exists()) == ("# mine", False)
    Path("andon.toml").unlink()
    assert init(*WORDS) == 0
    Path("andon.toml").unlink()
    Path("plant.json").unlink()
    assert init(*WORDS) == 1
    assert "holds an installation already" in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["var"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "0.0.0.0"), "add --tls"),  # noqa: S104
        (("--time-zone", "Mars/Base"), "no time zone"),
        (("--place", "acme"), "is no place"),
        (("--broker", "http://b"), "is no address"),
        (("--broker", "mqtt://b", "--broker-user", "u"), "--broker-password-file"),
        (("--listener", "x"), "is no port"),
        (("--account", "Chen Jing"), "no name to sign in with"),
        (("--store", "mysql://h/d"), "postgresql"),
        (("--tls", "--names", "a b"), "no name or address"),
    ],
)
def test_an_answer_that_cannot_work_is_refused_before_anything_is_left(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert init(*WORDS, *words) == 1
    assert said in capsys.readouterr().err
    assert not (folder / "andon.toml").exists()
    assert not (folder / "var/andon/andon.sqlite").exists()


def test_whatever_is_off_in_the_file_can_be_switched_on(folder: Path) -> None:
    """A line that begins with # and no space is a setting."""
    assert init(*WORDS, "--listener", "none") == 0
    text = Path("andon.toml").read_text()
    assert len(re.findall(r"^#(?! )", text, re.MULTILINE)) > 20
    config = check(Config, tomllib.loads(re.sub(r"^#(?! )", "", text, flags=re.MULTILINE)), "all of it")
    assert sorted(config.sources) == ["broker", "floor", "plc"]
    check_sources({name: one for name, one in config.sources.items() if name != "plc"}, folder)
    assert config.influx is not None
    assert config.store.url is not None
    assert len(config.notify) == 1


@pytest.mark.parametrize(
    ("words", "first", "named"),
    [
        ((), "andon discover opc.tcp://HOST:4840 --install", True),
        (("--opcua", "opc.tcp://plc:4840"), "andon discover opc.tcp://plc:4840 --install", False),
        (("--broker", "mqtt://broker.example"), "andon check", False),
    ],
)
def test_what_to_do_next_begins_with_a_source_where_there_is_none(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], first: str, named: bool
) -> None:
    assert init(*WORDS, "--listener", "none", *words) == 0
    said = capsys.readouterr().out.split("next:  ")[1]
    assert said.startswith(first)
    assert said.index("andon check") < said.index("andon run")
    assert ("[sources.floor] or [sources.broker] in andon.toml" in said) is named


def test_a_broker_stands_in_the_file_as_it_was_said(folder: Path) -> None:
    assert init(*WORDS, "--broker", "mqtts://broker.example", "--broker-ca", "ca.pem") == 0
    broker = tomllib.loads((folder / "andon.toml").read_text())["sources"]["broker"]
    assert (broker["host"], broker["port"], broker["tls"]) == ("broker.example", 8883, {"ca": "ca.pem"})


def test_the_authority_signs_a_server_for_its_names_for_397_days(tmp_path: Path) -> None:
    files = Files(tmp_path / "tls")
    assert issue(files, "Acme", ["press.example", "192.0.2.7"], NOW_NS)
    authority = x509.load_pem_x509_certificate(files.ca.read_bytes())
    server = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    server.verify_directly_issued_by(authority)
    assert names_in(server) == ["press.example", "192.0.2.7"]
    assert server.not_valid_after_utc - server.not_valid_before_utc == dt.timedelta(397)
    assert authority.not_valid_after_utc - authority.not_valid_before_utc == dt.timedelta(3652)
    uses = server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.SERVER_AUTH]
    limits = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.critical, limits.value.ca, limits.value.path_length) == (True, True, 0)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (files.ca_key, files.key)] == [0o600, 0o600]


def test_the_same_command_renews_the_server_and_keeps_the_authority(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(*WORDS, "--tls", "--names", "press.example") == 0
    files = Files(Path("var/andon/tls"))
    before, authority = files.certificate.read_bytes(), files.ca.read_bytes()
    toml = (folder / "andon.toml").read_text()
    assert init("--tls", "--names", "press.example,192.0.2.7") == 0
    assert "397 days" in capsys.readouterr().out
    assert files.ca.read_bytes() == authority
    renewed = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    renewed.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    assert files.certificate.read_bytes() != before
    assert (folder / "andon.toml").read_text() == toml


def faults(*, name: str, state: str) -> list[str]:
    found = list(verdicts(Path("andon.toml"), None, lambda: wall() + 2 * 86_400 * 10**9))
    assert all(one.cure for one in found if one.state != "good")
    return [one.text for one in found if (one.name, one.state) == (name, state)]


def test_check_names_what_was_broken_after_init(folder: Path) -> None:
    assert init(*WORDS, "--tls", "--names", "press.example") == 0
    assert faults(name="data", state="wrong") == []
    assert faults(name="plant", state="warning") == ["Acme East: no machines yet"]
    assert faults(name="accounts", state="warning") == ["first secret not changed: chen.jing"]
    assert "no device may publish yet" in faults(name="source floor", state="warning")
    assert any("does not hold for 127.0.0.1" in text for text in faults(name="web", state="warning"))
    key = Path("var/andon/tls/server.key")
    key.chmod(0o644)
    assert any(str(key) in text for text in faults(name="data", state="wrong"))
    assert faults(name="web", state="wrong")[0] == f"others can read {key}"
    key.unlink()
    assert any("is not there" in text for text in faults(name="web", state="wrong"))
    Path("var/andon").chmod(0o755)
    assert faults(name="data", state="wrong") == ["others can enter var/andon"]
    Path("plant.json").write_text('{"name": "x", "people": []}')
    assert faults(name="people", state="wrong") == ["there is nobody whom a ticket could name"]
    Path("plant.json").write_text("{")
    assert len(faults(name="plant", state="wrong")) == 1
    assert folder.exists()


def test_a_name_in_chinese_signs_in_as_admin_and_another_name_is_refused_whole(folder: Path) -> None:
    assert init("--admin", "王磊", "--json", "made.json") == 0
    assert json.loads((folder / "made.json").read_text())["account"] == "admin"
    people = Plant.model_validate_json((folder / "plant.json").read_text()).people
    assert [(one.id, one.name) for one in people] == [("admin", "王磊")]
